// Owns reactions on screen: the chips below a message, and the little sheet to pick one from.
import { h } from "../dom.js";

const COMMON = ["👍", "❤️", "😂", "🎉", "😮", "😢", "🙏", "👀"];

/** A chip for each reaction; pressing it adds one's own or takes it back. */
export function chips(message, { me, names, react }) {
  if (!message.reactions?.length) return null;
  return h("ul", { class: "chips", "aria-label": "Reactions" }, ...message.reactions.map((one) => h("li", {}, chip(message, one, { me, names, react }))));
}

function chip(message, { emoji, count, users }, { me, names, react }) {
  const mine = users.includes(me.id);
  const others = count - users.length;
  const who = [...users.map((id) => (id === me.id ? "you" : names(id))), ...(others > 0 ? [`${others} more`] : [])].join(", ");
  const words = `${emoji} ${count}, ${who}. ${mine ? "Take yours back" : "React too"}`;
  return h("button", { class: "chip", type: "button", title: who, "aria-label": words, "aria-pressed": String(mine), dataset: { emoji }, on: { click: () => react(message, emoji, !mine) } },
    h("span", {}, emoji), h("span", { class: "number" }, String(count)));
}

/** Opens below `button`'s toolbar; Escape and a choice close it and give the focus back. */
export function openPicker(button, pick) {
  const known = document.getElementById("picker");
  known?.remove();
  if (known?.parentElement === button.parentElement) return;
  let open = true;
  const close = () => {
    if (!open) return; // taking it away takes the focus out of it, which closes it
    open = false;
    sheet.remove();
    button.setAttribute("aria-expanded", "false");
  };
  const choose = (emoji) => (close(), button.focus(), pick(emoji));
  const sheet = h("div", { id: "picker", class: "picker", role: "group", "aria-label": "Pick a reaction" },
    ...COMMON.map((emoji) => h("button", { type: "button", "aria-label": `React with ${emoji}`, on: { click: () => choose(emoji) } }, emoji)));
  sheet.addEventListener("keydown", (event) => {
    const all = [...sheet.children];
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") close(), button.focus();
    else if (step) all.at((all.indexOf(document.activeElement) + step) % all.length).focus();
    else return;
    event.stopPropagation();
    event.preventDefault();
  });
  sheet.addEventListener("focusout", (event) => sheet.contains(event.relatedTarget) || event.relatedTarget === button || close());
  button.parentElement.append(sheet);
  button.setAttribute("aria-expanded", "true");
  sheet.firstElementChild.focus();
}
