// Toasts: short messages in the corner, announced politely and gone after a few seconds.
import { h } from "./dom.js";

/** @type {HTMLElement | null} */
let stack = null;

/** @param {string} text */
export function toast(text, { seconds = 5 } = {}) {
  if ([...(stack?.children ?? [])].some((card) => card.textContent === text)) return; // said already
  show(h("div", { class: "toast", dir: "auto" }, text), seconds);
}

/**
 * With a button; returns what closes it.
 * @param {string} text
 * @param {{action: string, run: () => void, seconds: number}} options
 */
export function toastWithAction(text, { action, run, seconds }) {
  const button = h("button", { class: "toast-action", type: "button", on: { click: run } }, action);
  return show(h("div", { class: "toast" }, text, button), seconds);
}

/** @param {HTMLElement} card @param {number} seconds */
function show(card, seconds) {
  if (!stack) {
    stack = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(stack);
  }
  stack.append(card);
  const close = () => card.remove();
  setTimeout(close, seconds * 1000);
  return close;
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
