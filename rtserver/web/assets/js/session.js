// User of this tab. In development the server hands out ready-made users; elsewhere a token is pasted.
// The choice is per tab: `?user=<id>` in the address, else sessionStorage. A token is never put in an address.
// The server hands users out for the key of its pages, `#key=…` in the link that it prints; this browser keeps the key.
import { subjectOf } from "../../client/token_claims.js";
import { siteStorage } from "./storage.js";

/** @typedef {{id: string, name: string}} Person */
/** @typedef {Person & {token: string}} ReadyUser */
/** @typedef {{users: ReadyUser[], admin?: ReadyUser, service?: ReadyUser}} ReadyTokens */
/** @typedef {Person & {token: (options?: {fresh?: boolean}) => Promise<string | null>}} User */

const CHOSEN = "rtserver.user";
const PASTED = "rtserver.token";
const PASTED_ADMIN = "rtserver.admin-token";
const KEY = "rtserver.page-key";

let pageKey = keyOfLink() ?? siteStorage()?.getItem(KEY) ?? null;

/** The key in the address, which it leaves. */
function keyOfLink() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return null;
  siteStorage()?.setItem(KEY, key);
  history.replaceState(null, "", location.pathname + location.search);
  return key;
}

/** @type {Promise<ReadyTokens | null> | null} one request, shared by every part of the page */
let ready = null;

/** The ready-made tokens in development, null elsewhere. */
export async function readyTokens({ fresh = false } = {}) {
  if (fresh || !ready) ready = fetchReadyTokens();
  return ready;
}

/** @returns {Promise<ReadyTokens | null>} */
async function fetchReadyTokens() {
  if (!pageKey) return null;
  const headers = { accept: "application/json", authorization: `Bearer ${pageKey}` };
  try {
    const answer = await fetch("/dev/tokens", { headers, cache: "no-store" });
    if (answer.status === 401) forgetKey();
    return answer.ok ? await answer.json() : null;
  } catch {
    ready = null;
    return null;
  }
}

/** The server has another secret now. */
function forgetKey() {
  pageKey = null;
  siteStorage()?.removeItem(KEY);
}

/**
 * The user of this tab, or null when none is chosen yet.
 * @returns {Promise<User | null>}
 */
export async function currentUser() {
  const pasted = sessionStorage.getItem(PASTED);
  const tokens = await readyTokens();
  const wanted = new URLSearchParams(location.search).get("user") ?? sessionStorage.getItem(CHOSEN);
  const known = tokens?.users.find((user) => user.id === wanted);
  if (known) return readyUser(known);
  return pasted && !tokens ? fromToken(pasted) : null;
}

/** @param {ReadyUser} user @returns {User} */
function readyUser({ id, name }) {
  sessionStorage.setItem(CHOSEN, id);
  return {
    id,
    name,
    token: async (options) => (await readyTokens(options))?.users.find((user) => user.id === id)?.token ?? null,
  };
}

/**
 * The user of a pasted token, or null when it cannot be read.
 * @param {string} token
 * @returns {User | null}
 */
export function fromToken(token) {
  const user = subjectOf(token);
  return user ? { ...user, token: async () => token } : null;
}

/** @param {string} id */
export function chooseUser(id) {
  sessionStorage.setItem(CHOSEN, id);
}

/** @param {string} token */
export function keepToken(token) {
  sessionStorage.setItem(PASTED, token);
}

export function forgetUser() {
  sessionStorage.removeItem(CHOSEN);
  sessionStorage.removeItem(PASTED);
}

/** This page's address for another user; only the id travels. @param {string} id */
export function addressFor(id, path = location.pathname) {
  return `${path}?user=${encodeURIComponent(id)}`;
}

/** @returns {Promise<User | null>} */
export async function adminUser() {
  const pasted = sessionStorage.getItem(PASTED_ADMIN);
  if (pasted) return fromToken(pasted);
  const tokens = await readyTokens();
  if (!tokens?.admin) return null;
  return { ...tokens.admin, token: async (options) => (await readyTokens(options))?.admin?.token ?? null };
}

/** Keep a pasted admin token in this tab; null forgets it. @param {string | null} token */
export function keepAdminToken(token) {
  if (token) sessionStorage.setItem(PASTED_ADMIN, token);
  else sessionStorage.removeItem(PASTED_ADMIN);
}
