// Texts of the pages: error codes of the server in plain words, and numbers with their nouns. Knows no page.

/** @type {Record<string, string>} */
const REFUSALS = {
  token_missing: "The server wants to know who you are: no token was sent.",
  token_invalid: "The server does not accept this token. It may have been made with another secret.",
  token_expired: "Your token has expired. Get a new one to go on.",
  token_not_yet_valid: "Your token is not valid yet: a clock is wrong, or it is for later.",
  token_revoked: "Your access was revoked.",
  forbidden: "You are known, but not allowed in here.",
  rate_limited: "Too many connections right now. Trying again shortly.",
  unavailable: "The server is up, but a part it needs is down. Trying again shortly.",
};

const INTERNAL = "Something went wrong on the server.";

/** @type {Record<string, string>} */
const FAILURES = {
  invalid_payload: "The server could not accept this.",
  unknown_event: "This server does not know that request.",
  rate_limited: "That was a little too fast.",
  room_not_joined: "Join the room first.",
  forbidden: "You are not allowed to do that.",
  not_found: "It is no longer there.",
  too_large: "That is too long to send.",
  conflict: "Somebody else changed it first.",
  unavailable: "The server cannot save right now.",
  timeout: "The server did not answer in time.",
  offline: "You are not connected.",
  unsupported_media_type: "Files of this kind are not accepted here.",
  discarded: "It was discarded.",
  internal: INTERNAL,
};

/** @type {Record<string, string>} */
const FIELDS = {
  text: "There is no visible text in it.",
  room: "No room can have this name.",
  emoji: "This is no reaction.",
};

/**
 * Why CONNECT was refused, from `connect_error`'s message and `data.code`.
 * @param {{message: string, code?: string | undefined}} problem
 */
export function refusal({ message, code }) {
  const plain = REFUSALS[code ?? ""];
  if (plain) return plain;
  if (message === "Invalid namespace") return "This server has no such namespace.";
  return message ? `The server refused the connection: ${message}.` : "The server refused the connection.";
}

/**
 * Why a call failed, by the code of a CallError. The server's own words are for developers, and go to the console.
 * @param {any} error
 * @returns {string}
 */
export function failure({ code, message, details, retryAfter }) {
  if (!FAILURES[code] || code === "invalid_payload") console.warn("rtserver:", code, message, details ?? "");
  if (code === "invalid_payload") return `${FAILURES[code]} ${fieldProblem(message, details)}`.trim();
  if (code === "too_large" && details?.limit)
    return `That is too large: ${details.limit.toLocaleString()} is the most.`;
  if (code === "rate_limited" && retryAfter > 1) return `That was a little too fast. Wait ${Math.ceil(retryAfter)} s.`;
  return FAILURES[code] ?? INTERNAL;
}

/**
 * What to look at: a sentence for a known field, else the name of the field.
 * @param {string} message
 * @param {any} details
 */
function fieldProblem(message, details) {
  const field = details?.field ?? /`\$\.(\w+)/.exec(message)?.[1];
  return field ? (FIELDS[field] ?? `Please check: ${field}.`) : "";
}

/** "812 bytes", "1.4 MB". @param {number} bytes */
export function fileSize(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  const unit = units[power] ?? "byte";
  const style = { style: "unit", unit, unitDisplay: power ? "short" : "long", maximumFractionDigits: 1 };
  return new Intl.NumberFormat(undefined, /** @type {Intl.NumberFormatOptions} */ (style)).format(
    bytes / 1000 ** power,
  );
}

/** "1 member", "1,204 members". @param {number} n @param {string} singular */
export function count(n, singular, plural = `${singular}s`) {
  return `${n.toLocaleString()} ${n === 1 ? singular : plural}`;
}
