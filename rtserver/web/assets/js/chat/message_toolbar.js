// Toolbar of a message: react, reply, edit, delete. The whole list is one stop of the Tab key; the arrow keys go from
// button to button and from message to message.
import { h, icon } from "../dom.js";
import { openPicker } from "./reactions.js";

/** @typedef {import("../../../client/conversation.js").Message} Message */
/** @typedef {import("./message_rows.js").RowActions} RowActions */
/** @typedef {MouseEvent & {currentTarget: HTMLElement}} Click */

/** @param {Message} message @param {RowActions} actions */
export function toolbar(message, { me, react, reply, edit, remove }) {
  const mine = message.from.id === me.id;
  const pick = tool("smile", "React", (picker) => openPicker(picker, (emoji) => react(message, emoji, true)));
  pick.setAttribute("aria-expanded", "false");
  return h(
    "div",
    { class: "tools", role: "toolbar", "aria-label": `Message of ${mine ? "yours" : message.from.name}` },
    pick,
    tool("reply", "Reply", () => reply(message)),
    mine && tool("pen", "Edit", () => edit(message)),
    mine && tool("trash", "Delete", () => remove(message)),
  );
}

/** @param {string} sign @param {string} name @param {(button: HTMLElement) => void} run */
function tool(sign, name, run) {
  /** @param {Click} event */
  const click = ({ currentTarget }) => run(currentTarget);
  const props = { class: "tool", type: "button", tabindex: -1, "aria-label": name, title: name, on: { click } };
  return h("button", props, icon(sign));
}

/**
 * Handle the keys within the list. Call `resetTabStop` after each drawing, so that Tab reaches the newest message.
 * @param {HTMLElement} list
 */
export function watchToolbars(list) {
  list.addEventListener("keydown", (event) => {
    const from = /** @type {HTMLElement} */ (event.target);
    const bar = from.closest(".tools");
    if (!bar || from.closest(".picker")) return;
    const next = neighbour(list, bar, from, event.key);
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  });
  list.addEventListener("focusin", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.classList.contains("tool")) setTabStop(list, target);
  });
}

/** @param {HTMLElement} list */
export function resetTabStop(list) {
  if (list.querySelector(".tool:focus")) return;
  setTabStop(list, firstTool([...list.querySelectorAll(".tools")].at(-1)));
}

/** @param {HTMLElement} list @param {HTMLElement | null} tool */
function setTabStop(list, tool) {
  for (const other of htmlElements(list, '.tool[tabindex="0"]')) other.tabIndex = -1;
  if (tool) tool.tabIndex = 0;
}

/**
 * The button to which a key leads, or none.
 * @param {Element} list
 * @param {Element} bar
 * @param {HTMLElement} from
 * @param {string} key
 */
function neighbour(list, bar, from, key) {
  const row = htmlElements(bar, ".tool");
  const bars = [...list.querySelectorAll(".tools")];
  if (key === "ArrowRight") return row[row.indexOf(from) + 1];
  if (key === "ArrowLeft") return row[row.indexOf(from) - 1];
  if (key === "ArrowUp") return firstTool(bars[bars.indexOf(bar) - 1]);
  if (key === "ArrowDown") return firstTool(bars[bars.indexOf(bar) + 1]);
  return null;
}

/** @param {Element} parent @param {string} selector @returns {HTMLElement[]} */
const htmlElements = (parent, selector) =>
  [...parent.querySelectorAll(selector)].filter((e) => e instanceof HTMLElement);
/** @param {Element | undefined} bar */
const firstTool = (bar) => /** @type {HTMLElement | null} */ (bar?.firstElementChild ?? null);
