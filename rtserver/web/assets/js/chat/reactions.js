// Reactions: the chips below a message, and the sheet to pick one from.
import { h } from "../dom.js";

/** @typedef {import("../../../client/conversation.js").Message} Message */
/** @typedef {import("../../../client/conversation.js").Reaction} Reaction */
/** @typedef {import("./message_rows.js").RowActions} RowActions */

const COMMON = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏", "👀"];
/** @type {Record<string, number>} */
const STEPS = { ArrowRight: 1, ArrowLeft: -1 };

/**
 * A chip for each reaction; pressing it adds one's own or takes it back.
 * @param {Message} message
 * @param {RowActions} actions
 */
export function chips(message, actions) {
  if (!message.reactions?.length) return null;
  const items = message.reactions.map((reaction) => h("li", {}, chip(message, reaction, actions)));
  return h("ul", { class: "chips", "aria-label": "Reactions" }, ...items);
}

/** @param {Message} message @param {Reaction} reaction @param {RowActions} actions */
function chip(message, { emoji, count, users }, { me, nameOf, react }) {
  const mine = users.includes(me.id);
  const others = count - users.length;
  const names = users.map((id) => (id === me.id ? "you" : nameOf(id)));
  if (others > 0) names.push(`${others} more`);
  const title = names.join(", ");
  const props = {
    class: "chip",
    type: "button",
    title,
    "aria-label": `${emoji} ${count}, ${title}. ${mine ? "Take yours back" : "React too"}`,
    "aria-pressed": String(mine),
    dataset: { emoji },
    on: { click: () => react(message, emoji, !mine) },
  };
  return h("button", props, h("span", {}, emoji), h("span", { class: "number" }, String(count)));
}

/**
 * Open the sheet below `button`'s toolbar. Escape and a choice close it and give the focus back.
 * @param {HTMLElement} button
 * @param {(emoji: string) => void} pick
 */
export function openPicker(button, pick) {
  const bar = /** @type {HTMLElement} */ (button.parentElement);
  const known = document.getElementById("picker");
  known?.remove();
  if (known?.parentElement === bar) return;
  let open = true;
  const close = () => {
    if (!open) return; // removing it takes the focus out of it, which closes it
    open = false;
    sheet.remove();
    button.setAttribute("aria-expanded", "false");
  };
  const closeAndFocus = () => {
    close();
    button.focus();
  };
  const choices = COMMON.map((emoji) => {
    const click = () => {
      closeAndFocus();
      pick(emoji);
    };
    return h("button", { type: "button", "aria-label": `React with ${emoji}`, on: { click } }, emoji);
  });
  const props = { id: "picker", class: "picker", role: "group", "aria-label": "Pick a reaction" };
  const sheet = h("div", props, ...choices);
  sheet.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    const focused = choices.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    if (event.key === "Escape") closeAndFocus();
    else if (step) choices.at((focused + step) % choices.length)?.focus();
    else return;
    event.stopPropagation();
    event.preventDefault();
  });
  sheet.addEventListener("focusout", ({ relatedTarget }) => {
    const inside = relatedTarget instanceof Node && sheet.contains(relatedTarget);
    if (!inside && relatedTarget !== button) close();
  });
  bar.append(sheet);
  button.setAttribute("aria-expanded", "true");
  choices[0]?.focus();
}
