// Tiles with live numbers, each with a line of the last minute or two; and the table of instances.
import { byId, h } from "../dom.js";
import { sparkline } from "./sparkline.js";

/**
 * The numbers of one instance, or of all together, as `stats` of docs/events.md has them. Null: not known.
 * @typedef {object} Stats
 * @property {string} instance
 * @property {Record<string, number>} connections by namespace
 * @property {number} eventsIn per second
 * @property {number} eventsOut per second
 * @property {number | null} p50 ms
 * @property {number | null} p99 ms, since the start
 * @property {number | null | undefined} recentP50 ms, in the last ten seconds; null without events
 * @property {number | null | undefined} recentP99 ms
 * @property {number | null} loopLag ms
 * @property {number} memory bytes
 * @property {number | null} redisRoundTrip ms
 * @property {number} slowClients
 * @property {number} rejections
 */
/** @typedef {number | null | undefined} Value */

const HISTORY = 90; // seconds
const MIN_SLOTS = 20; // the width of the chart while there are few values

/** @param {Record<string, number> | undefined} connections */
const sum = (connections) => Object.values(connections ?? {}).reduce((all, n) => all + n, 0);
/** @param {number} n */
const whole = (n) => Math.round(n).toLocaleString();
/** @param {number} n */
const rate = (n) => (n < 10 ? n.toFixed(1) : whole(n));
/** @param {Value} n */
const ms = (n) => (n === null || n === undefined ? "–" : n < 10 ? n.toFixed(2) : n.toFixed(0));
/** @param {Value} n */
const inMs = (n) => (n === null || n === undefined ? "–" : `${ms(n)} ms`);
/** @param {number} n */
const mib = (n) => (n / 1_048_576).toFixed(0);

/** @type {[title: string, read: (stats: Stats) => Value, write: (n: any) => string, unit: string][]} */
const TILES = [
  ["Clients", (stats) => sum(stats.connections), whole, ""],
  ["Events in", (stats) => stats.eventsIn, rate, "/s"],
  ["Events out", (stats) => stats.eventsOut, rate, "/s"],
  ["Handler p99, 10 s", (stats) => stats.recentP99, ms, "ms"],
  ["Loop lag", (stats) => stats.loopLag, ms, "ms"],
  ["Memory", (stats) => stats.memory, mib, "MiB"],
  ["Redis round trip", (stats) => stats.redisRoundTrip, ms, "ms"],
  ["Cut off as slow", (stats) => stats.slowClients, whole, ""],
];

export class Tiles {
  #tiles = TILES.map(([title, read, write, unit]) => ({
    read,
    write,
    unit,
    history: /** @type {number[]} */ ([]),
    ...tileParts(title),
  }));

  constructor() {
    byId("tiles").replaceChildren(...this.#tiles.map((tile) => tile.node));
  }

  /** @param {{total: Stats, instances: Stats[]}} stats */
  show({ total, instances }) {
    for (const tile of this.#tiles) {
      const now = tile.read(total) ?? null;
      tile.value.replaceChildren(tile.write(now));
      if (now === null) continue;
      if (tile.unit) tile.value.append(h("span", { class: "unit" }, tile.unit));
      tile.history = [...tile.history, now].slice(-HISTORY);
      tile.line.draw(tile.history, Math.max(tile.history.length, MIN_SLOTS));
    }
    byId("instances").replaceChildren(...instances.map(instanceRow));
  }
}

/** @param {string} title */
function tileParts(title) {
  const value = h("p", { class: "value" }, "–");
  const line = sparkline();
  return { node: h("article", { class: "card tile" }, h("h3", {}, title), value, line.node), value, line };
}

/** @param {Stats} stats */
function instanceRow(stats) {
  const numbers = [
    whole(sum(stats.connections)),
    rate(stats.eventsIn),
    rate(stats.eventsOut),
    inMs(stats.recentP50),
    inMs(stats.recentP99),
    `${ms(stats.loopLag)} ms`,
    `${mib(stats.memory)} MiB`,
    inMs(stats.redisRoundTrip),
    whole(stats.slowClients),
    whole(stats.rejections),
  ];
  const cells = numbers.map((text) => h("td", { class: "number" }, text));
  return h("tr", {}, h("th", { scope: "row", class: "id" }, stats.instance), cells);
}
