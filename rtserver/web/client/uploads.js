// Uploads: files that messages refer to. The server has them only where RTSERVER_UPLOAD_LIMIT is set.
import { CallError } from "./connection.js";

/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("./conversation.js").Message} Message */
/** @typedef {{url: string, name: string, type: string, size: number}} Attachment */
/** @typedef {Attachment & {kind: "image" | "audio" | "video" | "file"}} ShownAttachment */

const DISGUISE = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu; // turns "fdp.exe" into "exe.pdf" for the eye
const LONGEST_NAME = 200;
const PATH = /^\/uploads\/[0-9a-v]{32}$/;

export class Uploads {
  /** @type {Promise<boolean> | null} */
  #enabled = null;

  /** @param {Connection} connection @param {string | undefined} url of the server; without it that of the connection */
  constructor(connection, url) {
    this.connection = connection;
    this.url = (url ?? originOf(connection)).replace(/\/+$/, "");
  }

  /** Whether the server takes files. */
  enabled() {
    this.#enabled ??= this.#ask("")
      .then(({ limit }) => limit > 0)
      .catch(() => {
        this.#enabled = null; // asked again: perhaps the server was away, or the token too old
        return false;
      });
    return this.#enabled;
  }

  /** What a message needs to refer to the file. Throws CallError. @param {File} file @returns {Promise<Attachment>} */
  async upload(file) {
    const { upload, url } = await this.#ask(`?name=${encodeURIComponent(file.name.slice(-LONGEST_NAME))}`, {
      method: "POST",
      body: file,
      headers: { "Content-Type": file.type || "application/octet-stream" },
    });
    const { name, type, size } = upload;
    return { url, name, type, size };
  }

  /** The body of the answer. Throws CallError. @param {string} query @param {RequestInit} [request] */
  async #ask(query, request = {}) {
    const token = await this.connection.token();
    const headers = token ? { ...request.headers, Authorization: `Bearer ${token}` } : request.headers;
    const answer = await fetch(`${this.url}/api/uploads${query}`, { ...request, headers }).catch(() => {
      throw new CallError({ code: "offline" });
    });
    const body = await answer.json().catch(() => ({}));
    if (!body.ok) throw new CallError(body.error ?? { code: "internal" });
    return body;
  }
}

/**
 * The file of a message, with an address to load it from; null for none. The content of `data` is a user's: only files
 * of this server count.
 * @param {Message} message
 * @param {string} [url] of the server
 * @returns {ShownAttachment | null}
 */
export function attachmentOf({ data, deletedAt }, url = "") {
  const { url: path, name, type, size } = data?.attachment ?? {};
  if (deletedAt || typeof path !== "string" || !PATH.test(path)) return null;
  const kind = /^(image|audio|video)\//.exec(String(type))?.[1] ?? "file";
  return {
    url: url + path,
    name: (typeof name === "string" && name.replace(DISGUISE, "").slice(0, LONGEST_NAME)) || "file",
    type: String(type),
    size: Number.isFinite(size) ? size : 0,
    kind: /** @type {ShownAttachment["kind"]} */ (kind),
  };
}

/** Of `wss://host/chat` the server is `https://host`. @param {Connection} connection */
function originOf({ socket }) {
  const { uri } = /** @type {{uri: string}} */ (/** @type {unknown} */ (socket.io));
  return new URL(uri, globalThis.location?.href).origin.replace(/^ws/, "http");
}
