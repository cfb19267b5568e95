// Toasts: short messages in the corner, announced politely and gone after a few seconds.
import { h } from "./dom.js";

/** @type {HTMLElement | null} */
let stack = null;

/** @param {string} text */
export function toast(text, { seconds = 5 } = {}) {
  if (!stack) {
    stack = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(stack);
  }
  const card = h("div", { class: "toast" }, text);
  stack.append(card);
  setTimeout(() => card.remove(), seconds * 1000);
}

/** Copy `text` and report it; when the browser refuses, report that instead. @param {string} text */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("Your browser did not allow copying. Select the text instead.");
  }
}
