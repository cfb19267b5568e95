// Claims of a token, for display only: the server checks them.

/** @param {string | null | undefined} token @returns {{sub?: unknown, name?: unknown} | null} */
export function claimsOf(token) {
  try {
    const payload = /** @type {string} */ (token?.split(".")[1]);
    const bytes = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0))));
  } catch {
    return null;
  }
}

/**
 * The user of a token, with the name that it has; undefined when it cannot be read.
 * @param {string | null | undefined} token
 */
export function subjectOf(token) {
  const claims = claimsOf(token);
  if (!claims?.sub) return undefined;
  return { id: String(claims.sub), name: String(claims.name ?? claims.sub) };
}
