// A courier's app: reports the status and position of an order. `TOKEN=… node courier.mjs 1042`
import { io } from "socket.io-client";

const [orderId = "1042"] = process.argv.slice(2);
const server = process.env.SERVER ?? "http://127.0.0.1:8000";
const socket = io(`${server}/tracking`, { auth: { token: process.env.TOKEN } });

const steps = [
  { status: "in the kitchen" },
  { status: "on its way", position: [52.52, 13.4] },
  { position: [52.53, 13.41] },
  { status: "delivered" },
];

socket.on("connect_error", (error) => {
  console.error(error.message, error.data ?? "");
  process.exit(1);
});
socket.on("connect", async () => {
  for (const step of steps) {
    const { ok, error } = await socket.emitWithAck("report", { orderId, ...step });
    console.log(ok ? "reported" : error.message, step);
    await new Promise((wake) => setTimeout(wake, Number(process.env.PAUSE ?? 1000)));
  }
  socket.disconnect();
});
