// Owns who this tab is. In development the server hands out ready-made users; elsewhere a token is pasted.
// The choice is per tab: `?user=<id>` in the address, else sessionStorage. A token is never put in an address.

const CHOSEN = "rtserver.user";
const PASTED = "rtserver.token";
const PASTED_ADMIN = "rtserver.admin-token";

let ready = null; // one request for the ready-made tokens, shared by every part of the page

/** `{users: [{id, name, token}], admin}` in development, null elsewhere. */
export async function readyTokens({ fresh = false } = {}) {
  if (fresh || !ready) ready = fetchReadyTokens();
  return ready;
}

async function fetchReadyTokens() {
  try {
    const answer = await fetch("/dev/tokens", { headers: { accept: "application/json" }, cache: "no-store" });
    return answer.ok ? await answer.json() : null;
  } catch {
    ready = null;
    return null;
  }
}

/** The user of this tab: `{id, name, token({fresh})}`, or null when nobody was chosen yet. */
export async function currentUser() {
  const pasted = sessionStorage.getItem(PASTED);
  const tokens = await readyTokens();
  const wanted = new URLSearchParams(location.search).get("user") ?? sessionStorage.getItem(CHOSEN);
  const known = tokens?.users.find((user) => user.id === wanted);
  if (known) return readyMade(known);
  return pasted && !tokens ? fromToken(pasted) : null;
}

function readyMade({ id, name }) {
  sessionStorage.setItem(CHOSEN, id);
  const token = async (options) => (await readyTokens(options))?.users.find((user) => user.id === id)?.token ?? null;
  return { id, name, token };
}

/** A person from a pasted token; its claims are read for display only, the server does the checking. */
export function fromToken(token) {
  const claims = claimsOf(token);
  if (!claims?.sub) return null;
  return { id: String(claims.sub), name: String(claims.name ?? claims.sub), token: async () => token };
}

export function claimsOf(token) {
  try {
    const bytes = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0))));
  } catch {
    return null;
  }
}

export function choose(id) {
  sessionStorage.setItem(CHOSEN, id);
}

export function keepToken(token) {
  sessionStorage.setItem(PASTED, token);
}

export function forgetUser() {
  sessionStorage.removeItem(CHOSEN);
  sessionStorage.removeItem(PASTED);
}

/** This page's address for another user; only the id travels. */
export function addressFor(id, path = location.pathname) {
  return `${path}?user=${encodeURIComponent(id)}`;
}

export async function adminUser() {
  const pasted = sessionStorage.getItem(PASTED_ADMIN);
  if (pasted) return fromToken(pasted);
  const tokens = await readyTokens();
  if (!tokens?.admin) return null;
  return { ...tokens.admin, token: async (options) => (await readyTokens(options))?.admin?.token ?? null };
}

export function keepAdminToken(token) {
  if (token) sessionStorage.setItem(PASTED_ADMIN, token);
  else sessionStorage.removeItem(PASTED_ADMIN);
}
