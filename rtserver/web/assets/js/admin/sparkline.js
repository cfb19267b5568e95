// Owns small line charts: numbers in, one SVG path out. Knows nothing of what they mean.
import { svg } from "../dom.js";

const WIDTH = 120;
const HEIGHT = 36;
const PAD = 2;

/** `{node, draw(values, slots)}`: room for `slots` values, the newest at the right edge. */
export function sparkline() {
  const area = svg("path", { class: "area" });
  const line = svg("path", { class: "line" });
  const node = svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, area, line);
  const draw = (values, slots) => {
    const outline = path(points(values, slots));
    line.setAttribute("d", outline);
    area.setAttribute("d", values.length > 1 ? `${outline}V${HEIGHT}H${left(values.length, slots)}Z` : "");
  };
  return { node, draw };
}

function points(values, slots) {
  const top = Math.max(...values, 0) * 1.2 || 1;
  const step = WIDTH / (slots - 1);
  return values.map((value, at) => [
    WIDTH - (values.length - 1 - at) * step,
    HEIGHT - PAD - (value / top) * (HEIGHT - 2 * PAD),
  ]);
}

function left(length, slots) {
  return (WIDTH - (length - 1) * (WIDTH / (slots - 1))).toFixed(2);
}

function path(list) {
  return list.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
}
