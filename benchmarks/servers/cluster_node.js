// Node's socket.io in a cluster: @socket.io/redis-adapter, classic or sharded.
const { createServer } = require("node:http");
const { createRequire } = require("node:module");
const load = createRequire(`${process.env.BENCH_NODE}/`);
const { Server } = load("socket.io");
const { createClient } = load("redis");
const { createAdapter, createShardedAdapter } = load("@socket.io/redis-adapter");

async function main() {
  const publisher = createClient({ url: process.env.BENCH_REDIS });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const make = process.env.BENCH_ADAPTER === "sharded" ? createShardedAdapter : createAdapter;
  const http = createServer();
  const io = new Server(http, { adapter: make(publisher, subscriber), serveClient: false });
  io.on("connection", (socket) => {
    socket.on("join", (room, ack) => {
      socket.join(room);
      ack();
    });
    socket.on("room", (room, text) => io.to(room).emit("room", text));
  });
  http.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
}

main();
