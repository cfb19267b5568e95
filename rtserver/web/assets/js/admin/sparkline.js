// Sparklines: numbers in, one SVG path out. Knows nothing of what they mean.
import { svg } from "../dom.js";

const WIDTH = 120;
const HEIGHT = 36;
const PAD = 2;

/** @typedef {{node: SVGElement, draw: (values: number[], slots: number) => void}} Sparkline */

/** `draw` has room for `slots` values, the newest at the right edge. @returns {Sparkline} */
export function sparkline() {
  const area = svg("path", { class: "area" });
  const line = svg("path", { class: "line" });
  const frame = { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" };
  const node = svg("svg", { ...frame, "aria-hidden": "true" }, area, line);
  /** @param {number[]} values @param {number} slots */
  const draw = (values, slots) => {
    const outline = path(points(values, slots));
    line.setAttribute("d", outline);
    area.setAttribute("d", values.length > 1 ? `${outline}V${HEIGHT}H${left(values.length, slots)}Z` : "");
  };
  return { node, draw };
}

/** @param {number[]} values @param {number} slots @returns {[number, number][]} */
function points(values, slots) {
  const top = Math.max(...values, 0) * 1.2 || 1;
  const step = WIDTH / (slots - 1);
  return values.map((value, index) => [
    WIDTH - (values.length - 1 - index) * step,
    HEIGHT - PAD - (value / top) * (HEIGHT - 2 * PAD),
  ]);
}

/** @param {number} length @param {number} slots */
function left(length, slots) {
  return (WIDTH - (length - 1) * (WIDTH / (slots - 1))).toFixed(2);
}

/** @param {[number, number][]} list */
function path(list) {
  return list.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
}
