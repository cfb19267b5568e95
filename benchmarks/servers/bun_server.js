// Node's socket.io on Bun, with Bun's own HTTP and WebSocket server.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.BENCH_NODE}/`);
const { Server: Engine } = require("@socket.io/bun-engine");
const { Server } = require("socket.io");

const io = new Server({ serveClient: false });
const engine = new Engine({
  path: "/socket.io/",
  pingInterval: 1000 * Number(process.env.BENCH_PING_INTERVAL || 25),
});
io.bind(engine);

io.on("connection", (socket) => {
  socket.on("echo", (text, ack) => ack(text));
  socket.on("bcast", (text) => io.emit("bcast", text));
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack();
  });
  socket.on("room", (room, text) => io.to(room).emit("room", text));
});

const socketio = engine.handler();
Bun.serve({
  port: Number(process.argv[2]),
  hostname: "127.0.0.1",
  idleTimeout: 60,
  websocket: socketio.websocket,
  fetch(request, server) {
    if (new URL(request.url).pathname === "/socket.io/") {
      return socketio.fetch(request, server);
    }
    return Response.json({
      sessions: engine.clientsCount,
      clients: io.of("/").sockets.size,
      rooms: io.of("/").adapter.rooms.size,
    });
  },
});
