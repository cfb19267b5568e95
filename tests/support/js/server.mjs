// Node Socket.IO server in a cluster, driven by the tests over HTTP.
//
// node server.mjs PORT REDIS_URL OPTIONS
//   OPTIONS: JSON {adapter: "classic" | "sharded", namespaces: ["/wire"], ...the adapter's own}
//
// POST / {with: "server" | "emitter", namespace, steps: [["to", "a"], ["volatile"], ["emit", "news", 1]]}
//   walks from io.of(namespace), or the emitter's of(namespace), through methods and properties by their names, and
//   answers {value} or {error, responses}. A step {heard: true} answers with what `note` received.
// Bytes travel as {"$bytes": base64}, dates as {"$date": milliseconds}.
import { createServer } from "node:http";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [port, url, text = "{}"] = process.argv.slice(2);
const { adapter = "classic", namespaces = ["/wire"], ...options } = JSON.parse(text);

async function connect() {
  const client = createClient({ url });
  client.on("error", (error) => console.error(`redis: ${error.message}`));
  await client.connect();
  return client;
}

const [publisher, subscriber, outsider] = await Promise.all([connect(), connect(), connect()]);
const make = { classic: createAdapter, sharded: createShardedAdapter }[adapter];
const http = createServer(answer);
const io = new Server(http, { adapter: make(publisher, subscriber, options), pingInterval: 60_000 });
const emitter = new Emitter(outsider, options.key ? { key: options.key } : {});
const heard = [];

for (const name of namespaces) {
  const namespace = io.of(name);
  namespace.on("connection", (socket) => {
    socket.on("join", (rooms, done) => {
      socket.join(rooms);
      done();
    });
    socket.on("data", (data, done) => {
      Object.assign(socket.data, data);
      done();
    });
  });
  namespace.on("note", (...args) => heard.push(args));
  namespace.on("add", (a, b, done) => done(a + b));
  namespace.on("slow", () => {});
}

async function walk({ with: origin, namespace, steps }) {
  let at = (origin === "emitter" ? emitter : io).of(namespace);
  for (const [name, ...args] of steps) {
    if (name === "heard") return heard.splice(0);
    // `fetchSockets` is followed by steps on the socket with that id.
    if (name === "socket") at = at.find((socket) => socket.id === args[0]);
    else at = typeof at[name] === "function" ? await at[name](...args) : at[name];
  }
  return at;
}

function encode(value) {
  if (value === undefined) return null;
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (value instanceof Set) return [...value].map(encode);
  if (value instanceof Date) return { $date: value.getTime() };
  if (Array.isArray(value)) return value.map(encode);
  if (value && typeof value === "object") {
    if (["RemoteSocket", "Socket"].includes(value.constructor?.name)) {
      const { id, handshake, rooms, data } = value;
      return encode({ id, handshake, rooms, data });
    }
    if (![Object, undefined].includes(value.constructor)) return null; // the server, an operator
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, encode(inner)]));
  }
  return value;
}

function decode(value) {
  if (Array.isArray(value)) return value.map(decode);
  if (value && typeof value === "object") {
    if (typeof value.$bytes === "string") return Buffer.from(value.$bytes, "base64");
    if (typeof value.$date === "number") return new Date(value.$date);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, decode(inner)]));
  }
  return value;
}

async function answer(request, response) {
  if (request.url.startsWith("/socket.io/")) return;
  let body = "";
  for await (const chunk of request) body += chunk;
  const result = await walk(decode(JSON.parse(body))).then(
    (value) => ({ value: encode(value) }),
    (error) => ({ error: error.message, responses: encode(error.responses ?? null) }),
  );
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(result));
}

// Ready once Redis has answered the subscriber: the adapter does not report when its subscriptions are confirmed.
await subscriber.ping().catch(() => {});
http.listen(Number(port), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
