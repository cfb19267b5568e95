// Each released minor version of the official client, over each transport: connects, exchanges text and binary data,
// and comes back after its connection was lost. Arguments: URL, then versions. Prints a line of JSON with the failures.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const [url, ...versions] = process.argv.slice(2);
const TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"], ["websocket", "polling"]];
const OPTIONS = [{}, { forceBase64: true, timestampRequests: true }];
const LONG = "x".repeat(300_000);

const happens = (socket, event) => new Promise((resolve) => socket.once(event, resolve));
const call = (socket, event, value) => new Promise((resolve) => socket.emit(event, value, resolve));

async function use(socket) {
  await happens(socket, "connect");
  const { bytes, ...rest } = await call(socket, "echo", {
    bytes: Buffer.from([0, 1, 255]),
    text: "é😀",
    list: [null, 1.5],
  });
  assert.deepEqual([...new Uint8Array(bytes)], [0, 1, 255]);
  assert.deepEqual(rest, { text: "é😀", list: [null, 1.5] });
  const told = happens(socket, "told");
  socket.emit("tell", LONG);
  assert.equal(await told, LONG);
  const back = happens(socket, "disconnect").then(() => happens(socket, "connect"));
  socket.io.engine.close();
  await back;
  assert.equal(await call(socket, "echo", 7), 7);
}

async function tried(version, transports, options) {
  const { io = require(version) } = require(version);
  const socket = io(url, { transports, forceNew: true, reconnectionDelay: 10, reconnectionDelayMax: 50, ...options });
  try {
    await use(socket);
    return [];
  } catch (error) {
    return [`${version} ${transports} ${JSON.stringify(options)}: ${error.message}`];
  } finally {
    socket.close();
  }
}

const failures = [];
for (const version of versions)
  for (const options of OPTIONS)
    failures.push(...(await Promise.all(TRANSPORTS.map((transports) => tried(version, transports, options)))).flat());
console.log(JSON.stringify(failures));
process.exit(0);
