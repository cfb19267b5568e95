// Skeletons: grey lines in place of what is being loaded. The style shows them after 300 ms only.
import { h } from "./dom.js";

/** Rows for a list; the first one tells screen readers what is going on. @param {number} rows */
export function skeletons(rows) {
  return Array.from({ length: rows }, (_, index) => {
    const words = index === 0 && h("span", { class: "visually-hidden" }, "Loading");
    const bars = h("span", { class: "bars", "aria-hidden": "true" }, h("i"), h("i"));
    return h("li", { class: "skeleton" }, words, h("span", { class: "disc", "aria-hidden": "true" }), bars);
  });
}
