// Owns what one can do with a message: react, reply, edit, delete. One stop of the Tab key for the whole list; the arrow
// keys go from tool to tool and from message to message.
import { h, icon } from "../dom.js";
import { openPicker } from "./reactions.js";

const SURE_WITHIN = 4000; // ms to press delete a second time

export function tools(message, { me, react, reply, edit, remove }) {
  const mine = message.from.id === me.id;
  const pick = tool("smile", "React", ({ currentTarget }) => openPicker(currentTarget, (emoji) => react(message, emoji, true)));
  pick.setAttribute("aria-expanded", "false");
  return h("div", { class: "tools", role: "toolbar", "aria-label": `Message of ${mine ? "yours" : message.from.name}` },
    pick,
    tool("reply", "Reply", () => reply(message)),
    mine && tool("pen", "Edit", () => edit(message)),
    mine && tool("trash", "Delete", ({ currentTarget }) => sure(currentTarget, () => remove(message))));
}

function tool(sign, name, run) {
  return h("button", { class: "tool", type: "button", tabindex: -1, "aria-label": name, title: name, on: { click: run } }, icon(sign));
}

function sure(button, run) {
  if (button.dataset.sure) return run();
  button.dataset.sure = "asked";
  button.setAttribute("aria-label", "Press again to delete");
  button.title = "Press again to delete";
  setTimeout(() => {
    delete button.dataset.sure;
    button.setAttribute("aria-label", "Delete");
    button.title = "Delete";
  }, SURE_WITHIN);
}

/** Keys within the list; call `settle` after each drawing, so that Tab finds the tools of the newest message. */
export function watchTools(list) {
  list.addEventListener("keydown", (event) => {
    const bar = event.target.closest?.(".tools");
    if (!bar || event.target.closest(".picker")) return;
    const next = neighbour(list, bar, event.target, event.key);
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  });
  list.addEventListener("focusin", (event) => event.target.classList.contains("tool") && stop(list, event.target));
}

export function settle(list) {
  if (!list.querySelector(".tool:focus")) stop(list, [...list.querySelectorAll(".tools")].at(-1)?.firstElementChild);
}

function stop(list, tool) {
  for (const other of list.querySelectorAll('.tool[tabindex="0"]')) other.tabIndex = -1;
  if (tool) tool.tabIndex = 0;
}

function neighbour(list, bar, from, key) {
  const row = [...bar.querySelectorAll(".tool")];
  const bars = [...list.querySelectorAll(".tools")];
  if (key === "ArrowRight") return row[row.indexOf(from) + 1];
  if (key === "ArrowLeft") return row[row.indexOf(from) - 1];
  if (key === "ArrowUp") return bars[bars.indexOf(bar) - 1]?.firstElementChild;
  if (key === "ArrowDown") return bars[bars.indexOf(bar) + 1]?.firstElementChild;
  return null;
}
