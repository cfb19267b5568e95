// Send a file to a chat room, from Node 20 or later: upload the file, then post a message with its URL.
//
//     npm install socket.io-client
//     RTSERVER_UPLOAD_LIMIT=10000000 rtserver serve                       # uploads are off without this
//     TOKEN=$(rtserver token --sub alice --name Alice) node examples/send_attachment.mjs general cat.png image/png

import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { io } from "socket.io-client";

const url = process.env.RTSERVER_URL ?? "http://127.0.0.1:8000";
const token = process.env.TOKEN;
const [room, file, type] = process.argv.slice(2);
if (!token || !type) throw new Error("usage: TOKEN=… node send_attachment.mjs ROOM FILE TYPE");

const answer = await fetch(`${url}/api/uploads?name=${encodeURIComponent(basename(file))}`, {
  method: "POST",
  headers: { Authorization: `Bearer ${token}`, "Content-Type": type },
  body: await readFile(file),
});
const { ok, upload, url: path, error } = await answer.json();
if (!ok) throw new Error(`${error.code}: ${error.message}`);

const chat = io(`${url}/chat`, { auth: { token } });
await chat.timeout(10_000).emitWithAck("join", { room });
const { name, size } = upload;
const sent = await chat.timeout(10_000).emitWithAck("message", {
  room,
  text: name,
  nonce: crypto.randomUUID(),
  data: { attachment: { url: path, name, type: upload.type, size } },
});
chat.close();
if (!sent.ok) throw new Error(sent.error.message);
console.log("sent", url + path);
