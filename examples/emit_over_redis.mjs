// Emit a live event to rtserver's clients from Node, with the official emitter.
//
//     npm install @socket.io/redis-emitter redis
//     REDIS_URL=redis://127.0.0.1:6379/0 node examples/emit_over_redis.mjs

import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";

const redis = createClient({ url: process.env.REDIS_URL ?? "redis://127.0.0.1:6379/0" });
await redis.connect();

new Emitter(redis).of("/chat").to("general").emit("maintenance", { minutes: 5 });

await redis.close();
