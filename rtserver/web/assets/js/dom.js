// DOM helpers: building elements and finding those of the page.
// Strings become text nodes, never markup, so nothing a user wrote can turn into HTML.
import "./icons.js";

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | false | null | undefined} Child nothing is appended for false, null and undefined */
/** @typedef {Record<string, any>} Props class, dataset, on: {event: listener}, or any attribute */

/**
 * Element `tag` with `props` and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Props} [props]
 * @param {(Child | Child[])[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) setProp(node, name, value);
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

/** @param {HTMLElement} node @param {string} name @param {any} value */
function setProp(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "class") node.className = value;
  else if (name === "dataset") Object.assign(node.dataset, value);
  else if (name === "on") for (const [type, run] of Object.entries(value)) node.addEventListener(type, run);
  else node.setAttribute(name, value === true ? "" : String(value));
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {Node[]} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** A decorative icon of icons.js. @param {string} name */
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#icon-${name}` }));
}

/**
 * The element of the page's HTML with this id. Throws when there is none of this kind: then page and script disagree.
 * @template {HTMLElement} [E=HTMLElement]
 * @param {string} id
 * @param {{new (): E}} [kind] such as HTMLInputElement
 * @returns {E}
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof (kind ?? HTMLElement))) throw new TypeError(`The page has no such element: #${id}`);
  return /** @type {E} */ (element);
}

/** @param {string} id */
export const input = (id) => byId(id, HTMLInputElement);
/** @param {string} id */
export const button = (id) => byId(id, HTMLButtonElement);
/** @param {string} id */
export const form = (id) => byId(id, HTMLFormElement);
/** @param {string} id */
export const dialog = (id) => byId(id, HTMLDialogElement);

/**
 * `run()` at each submit of a form, instead of a request by the browser.
 * @param {HTMLFormElement} element
 * @param {() => void} run
 */
export function onSubmit(element, run) {
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
}

/**
 * Make `parent` hold exactly `nodes`, in order, moving only what is out of place: focus and selection survive.
 * @param {Element} parent
 * @param {Element[]} nodes
 */
export function arrange(parent, nodes) {
  const wanted = new Set(/** @type {Node[]} */ (nodes));
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.childNodes[index] !== node) parent.insertBefore(node, parent.childNodes[index] ?? null);
  });
}
