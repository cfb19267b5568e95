// Node's socket.io with default settings: its WebSocket implementation (ws), HTTP of the standard library.
const { createServer } = require("node:http");
const { createRequire } = require("node:module");
const { Server } = createRequire(`${process.env.BENCH_NODE}/`)("socket.io");

const http = createServer((_request, response) => {
  response.setHeader("content-type", "application/json");
  response.end(
    JSON.stringify({
      sessions: io.engine.clientsCount,
      clients: io.of("/").sockets.size,
      rooms: io.of("/").adapter.rooms.size,
    }),
  );
});
const io = new Server(http, {
  pingInterval: 1000 * Number(process.env.BENCH_PING_INTERVAL || 25),
  serveClient: false,
});

io.on("connection", (socket) => {
  socket.on("echo", (text, ack) => ack(text));
  socket.on("bcast", (text) => io.emit("bcast", text));
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack();
  });
  socket.on("room", (room, text) => io.to(room).emit("room", text));
});

http.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
