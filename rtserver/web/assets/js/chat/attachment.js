// Attachment of a message: pictures, sound and films in place, any other file as a link that downloads it.
import { h, icon } from "../dom.js";
import { fileSize } from "../text_format.js";

/** @typedef {import("../../../client/uploads.js").ShownAttachment} ShownAttachment */

/** @param {ShownAttachment} attachment */
export function attachmentNode(attachment) {
  const { url, name, kind } = attachment;
  if (kind === "image") {
    const picture = h("img", { src: url, alt: name, loading: "lazy" });
    const link = h("a", { href: url, target: "_blank", rel: "noopener noreferrer", title: name }, picture);
    picture.addEventListener("error", () => link.replaceWith(fileLink(attachment)), { once: true });
    return h("figure", { class: "attachment" }, link);
  }
  if (kind === "file") return h("figure", { class: "attachment" }, fileLink(attachment));
  const player = h(kind, { src: url, controls: true, preload: "metadata", "aria-label": name });
  return h("figure", { class: "attachment" }, player, h("figcaption", {}, fileLink(attachment)));
}

/** @param {ShownAttachment} attachment */
function fileLink({ url, name, size }) {
  const text = h("span", { class: "file-name" }, h("bdi", {}, name));
  const bytes = size > 0 && h("small", {}, fileSize(size));
  return h("a", { class: "file", href: url, download: name, title: name }, icon("file"), text, bytes);
}
