// Owns building elements. Strings become text nodes, never markup, so nothing a user wrote can turn into HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Element `tag` with `props` (class, dataset, on: {event: listener}, or any attribute) and children. */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) apply(node, name, value);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function apply(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "class") node.className = value;
  else if (name === "dataset") Object.assign(node.dataset, value);
  else if (name === "on") for (const [type, run] of Object.entries(value)) node.addEventListener(type, run);
  else node.setAttribute(name, value === true ? "" : String(value));
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** A decorative icon from assets/icons.svg. */
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `/assets/icons.svg#${name}` }));
}

export const $ = (id) => document.getElementById(id);

/** Make `parent` hold exactly `nodes`, in order, moving only what is out of place (focus and selection survive). */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, at) => {
    if (parent.childNodes[at] !== node) parent.insertBefore(node, parent.childNodes[at] ?? null);
  });
}
