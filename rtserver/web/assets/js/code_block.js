// Blocks of code with a button that copies them.
import { h, icon } from "./dom.js";
import { copy } from "./toast.js";

/** @param {HTMLElement} block @param {string} text */
export function showCode(block, text, { label = "Copy" } = {}) {
  const props = { class: "button copy", type: "button", on: { click: () => copy(text) } };
  block.replaceChildren(h("pre", { tabindex: 0 }, h("code", {}, text)), h("button", props, icon("copy"), label));
}
