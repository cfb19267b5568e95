// Owns the numbers on top: a tile each with the last minute or two as a line, and the table of instances.
import { $, h } from "../dom.js";
import { sparkline } from "./sparkline.js";

const KEPT = 90; // seconds of history
const AT_LEAST = 20; // the width of the chart while there are few

const sum = (connections) => Object.values(connections ?? {}).reduce((all, n) => all + n, 0);
const whole = (n) => Math.round(n).toLocaleString();
const rate = (n) => (n < 10 ? n.toFixed(1) : whole(n));
const ms = (n) => (n === null || n === undefined ? "–" : n < 10 ? n.toFixed(2) : n.toFixed(0));
const mib = (n) => (n / 1_048_576).toFixed(0);

const TILES = [
  ["Clients", (stats) => sum(stats.connections), whole, ""],
  ["Events in", (stats) => stats.eventsIn, rate, "/s"],
  ["Events out", (stats) => stats.eventsOut, rate, "/s"],
  ["Handler p99", (stats) => stats.p99, ms, "ms"],
  ["Loop lag", (stats) => stats.loopLag, ms, "ms"],
  ["Memory", (stats) => stats.memory, mib, "MiB"],
  ["Redis round trip", (stats) => stats.redisRoundTrip, ms, "ms"],
  ["Cut off as slow", (stats) => stats.slowClients, whole, ""],
];

export class Tiles {
  #tiles = TILES.map(([title, read, write, unit]) => ({ read, write, unit, history: [], ...parts(title) }));

  constructor() {
    $("tiles").replaceChildren(...this.#tiles.map((tile) => tile.node));
  }

  show({ total, instances }) {
    for (const tile of this.#tiles) {
      const now = tile.read(total);
      tile.value.replaceChildren(tile.write(now ?? null), now === null || now === undefined || !tile.unit ? "" : h("span", { class: "unit" }, tile.unit));
      if (now === null || now === undefined) continue;
      tile.history = [...tile.history, now].slice(-KEPT);
      tile.line.draw(tile.history, Math.max(tile.history.length, AT_LEAST));
    }
    $("instances").replaceChildren(...instances.map(instanceRow));
  }
}

function parts(title) {
  const value = h("p", { class: "value" }, "–");
  const line = sparkline();
  return { node: h("article", { class: "card tile" }, h("h3", {}, title), value, line.node), value, line };
}

function instanceRow(stats) {
  const numbers = [
    whole(sum(stats.connections)),
    rate(stats.eventsIn),
    rate(stats.eventsOut),
    `${ms(stats.p50)} ms`,
    `${ms(stats.p99)} ms`,
    `${ms(stats.loopLag)} ms`,
    `${mib(stats.memory)} MiB`,
    stats.redisRoundTrip === null ? "–" : `${ms(stats.redisRoundTrip)} ms`,
    whole(stats.slowClients),
    whole(stats.rejections),
  ];
  return h("tr", {}, h("th", { scope: "row", class: "id" }, stats.instance), numbers.map((text) => h("td", { class: "number" }, text)));
}
