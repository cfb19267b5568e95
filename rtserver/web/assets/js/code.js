// Owns blocks of code with a button that copies them.
import { h, icon } from "./dom.js";
import { copy } from "./toast.js";

export function showCode(block, text, { label = "Copy" } = {}) {
  const button = h("button", { class: "button copy", type: "button", on: { click: () => copy(text) } }, icon("copy"), label);
  block.replaceChildren(h("pre", { tabindex: 0 }, h("code", {}, text)), button);
}
