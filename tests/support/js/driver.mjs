// Driver of many real socket.io clients for the tests: JSON lines in on stdin, JSON lines out on stdout.
//
// In:  {id, op, client, ...}       one operation (see `operations`)
// Out: {id, value} | {id, error}   its answer
//      {client, kind, name, args}  what the client received; kind: event | socket | manager | engine
// Bytes travel as {"$bytes": base64}, to the driver also as {"$bytes": base64, "as": "ArrayBuffer" | "Float64Array" | …};
// {"$date": milliseconds} and {"$undefined": true} are what their names say, to the driver only; the ack callback of a
// server's event is {"$ack": true}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const require = createRequire(import.meta.url);
const clients = new Map();
const managers = new WeakMap(); // Manager → the names of the clients on it

const send = (message) => process.stdout.write(`${JSON.stringify(encode(message))}\n`);

function encode(value) {
  if (typeof value === "function") return { $ack: true };
  if (value instanceof ArrayBuffer) return { $bytes: Buffer.from(value).toString("base64") };
  if (ArrayBuffer.isView(value)) {
    return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
  }
  if (value instanceof Error) {
    return { message: value.message, ...(value.data !== undefined && { data: encode(value.data) }) };
  }
  if (Array.isArray(value)) return value.map(encode);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, encode(inner)]));
  }
  return value;
}

function decode(value) {
  if (Array.isArray(value)) return value.map(decode);
  if (value && typeof value === "object") {
    if (typeof value.$bytes === "string") return decodeBytes(Buffer.from(value.$bytes, "base64"), value.as);
    if (typeof value.$date === "number") return new Date(value.$date);
    if (value.$undefined === true) return undefined;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, decode(inner)]));
  }
  return value;
}

function decodeBytes(buffer, kind) {
  if (kind === undefined) return buffer;
  const copy = new Uint8Array(buffer).buffer;
  return kind === "ArrayBuffer" ? copy : new globalThis[kind](copy);
}

const MANAGER_EVENTS = [
  "open",
  "close",
  "error",
  "reconnect",
  "reconnect_attempt",
  "reconnect_error",
  "reconnect_failed",
  "ping",
];

// One listener per Manager, however many namespaces share it.
function watchManager(name, manager) {
  if (managers.has(manager)) return managers.get(manager).push(name);
  const names = [name];
  managers.set(manager, names);
  const report = (kind, event, args) => {
    for (const client of names) send({ client, kind, name: event, args });
  };
  for (const event of MANAGER_EVENTS) {
    manager.on(event, (...args) => {
      if (event === "open") watchEngine(manager.engine, report);
      report("manager", event, args);
    });
  }
}

function watchEngine(engine, report) {
  const seen = () => [{ id: engine.id, transport: engine.transport.name }];
  report("engine", "open", seen());
  engine.on("upgrade", () => report("engine", "upgrade", seen()));
  engine.on("upgradeError", (error) => report("engine", "upgradeError", [error]));
  engine.on("close", (reason) => report("engine", "close", [reason]));
}

function watchSocket(name, socket) {
  const report = (event, args) => send({ client: name, kind: "socket", name: event, args });
  socket.on("connect", () => {
    report("connect", [
      { id: socket.id, recovered: socket.recovered ?? false, transport: socket.io.engine.transport.name },
    ]);
  });
  socket.on("connect_error", (error) => {
    report("connect_error", [error, { byServer: error.type !== "TransportError" }]);
  });
  socket.on("disconnect", (reason) => report("disconnect", [reason]));
  const onEvent = (event, ...args) => {
    send({ client: name, kind: "event", name: event, args });
    const answer = socket.answers.get(event);
    if (answer && typeof args.at(-1) === "function") args.at(-1)(...answer);
  };
  if (socket.onAny) return socket.onAny(onEvent);
  // Version 2 has no catch-all, and reports a refused connection as an `error` with its bare data.
  socket.onevent = ({ data, id }) => onEvent(...data, ...(id == null ? [] : [socket.ack(id)]));
  socket.on("error", (data) =>
    report("connect_error", [{ message: `${data?.message ?? data}`, data }, { byServer: true }]),
  );
}

const library = (version) => (version === 4 ? io : require(`socket.io-client-v${version}`));

async function open({ client, url, options: { parser, version = 4, ...options } }) {
  if (parser === "msgpack") options.parser = (await import("socket.io-msgpack-parser")).default;
  const socket = library(version)(url, { forceNew: true, ...options, autoConnect: false });
  socket.answers = new Map();
  clients.set(client, socket);
  watchManager(client, socket.io);
  watchSocket(client, socket);
  socket.connect();
}

function flagged(socket, { volatile, compress }) {
  if (compress !== undefined) socket = socket.compress(compress);
  return volatile ? socket.volatile : socket;
}

function call(socket, { event, args, timeout }) {
  return new Promise((resolve, reject) => {
    if (socket.timeout) {
      socket.timeout(timeout).emit(event, ...args, (error, ...answer) => (error ? reject(error) : resolve(answer)));
    } else {
      const timer = setTimeout(() => reject(new Error("operation has timed out")), timeout);
      socket.emit(event, ...args, (...answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
    }
  });
}

const operations = {
  open,
  emit: ({ socket, event, args, flags }) => void flagged(socket, flags).emit(event, ...args),
  call: ({ socket, ...request }) => call(socket, request),
  answer: ({ socket, event, args }) => void socket.answers.set(event, args),
  connect: ({ socket }) => void socket.connect(),
  disconnect: ({ socket }) => void socket.disconnect(),
  auth: ({ socket, auth }) => void Object.assign(socket, { auth }),
  // Close the transport under the client: its Manager reconnects, as after a lost network.
  drop: ({ socket }) => void socket.io.engine.close(),
  // Write a Socket.IO packet that the client itself would refuse to make.
  raw: ({ socket, packet }) => void socket.io.engine.write(packet),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...request } = decode(JSON.parse(line));
  const socket = clients.get(request.client);
  Promise.resolve()
    .then(() => operations[op]({ ...request, socket }))
    .then((value) => send({ id, value: value ?? null }))
    .catch((error) => send({ id, error: `${error?.message ?? error}` }));
}
for (const socket of clients.values()) socket.disconnect();
process.exit(0);
