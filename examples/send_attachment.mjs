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
const { name, size } = upload;
const message = {
  room,
  text: name,
  nonce: crypto.randomUUID(), // the same if it is sent again: it is saved once
  data: { attachment: { url: path, name, type: upload.type, size } },
};
chat.on("connect_error", (error) => fail(error.message));
chat.on("connect", async () => {
  await call("join", { room });
  await call("message", message);
  chat.close();
  console.log("sent", url + path);
});

async function call(event, payload) {
  const { ok, error } = await chat.timeout(10_000).emitWithAck(event, payload);
  if (!ok) fail(error.message);
}

function fail(reason) {
  console.error(reason);
  process.exit(1);
}
