// Confirmation: a dialog that asks before something that cannot be taken back.
import { h } from "./dom.js";

/**
 * Whether the user agrees; Escape and "Cancel" are a no.
 * @param {{title: string, text: string, action: string, danger?: boolean}} question
 * @returns {Promise<boolean>}
 */
export function ask({ title, text, action, danger = false }) {
  const yes = { class: danger ? "button danger" : "button", value: "yes" };
  const buttons = [h("button", { class: "button quiet", value: "" }, "Cancel"), h("button", yes, action)];
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "question-title", dir: "auto" }, title),
    h("p", { id: "question-text" }, text),
    h("div", { class: "dialog-actions" }, buttons),
  );
  const labels = { "aria-labelledby": "question-title", "aria-describedby": "question-text" };
  const dialog = h("dialog", { class: "dialog", ...labels }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
