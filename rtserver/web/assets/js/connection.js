// Connection to one namespace, through the official Socket.IO client that the server ships.
// Callers see four states, and calls that either answer or throw CallError with a code of docs/events.md.

import { PATH } from "./server_path.js";

/** @typedef {import("./session.js").User} User */
/** @typedef {"connecting" | "online" | "offline" | "refused"} State offline: trying again; refused: gave up */
/** @typedef {{message: string, code?: string | undefined}} Problem */
/** @typedef {{code: string, message?: string, details?: any, retryAfter?: number}} CallProblem */

const CLIENT = `${PATH}/socket.io.esm.min.js`;
const CALL_TIMEOUT = 10_000; // ms

/** The client build is not installed on the server. */
export class ClientMissing extends Error {}

/** A call that failed; `retryAfter` is in seconds. */
export class CallError extends Error {
  /** @param {CallProblem} problem */
  constructor({ code, message, details, retryAfter }) {
    super(message ?? code);
    this.code = code;
    this.details = details;
    /** @type {number | undefined} */
    this.retryAfter = retryAfter ?? details?.retryAfter;
  }
}

/** The code of a failed call; undefined for any other error. @param {unknown} error */
export const codeOf = (error) => (error instanceof CallError ? error.code : undefined);

/** @returns {Promise<typeof import("socket.io-client")>} */
async function loadClient() {
  try {
    return await import(CLIENT);
  } catch {
    throw new ClientMissing("The Socket.IO client could not be loaded");
  }
}

/**
 * Connect `user` to `namespace`, with `auth` besides the token. Throws ClientMissing.
 * @param {string} namespace
 * @param {User} user
 * @param {Record<string, unknown>} [auth]
 */
export async function connect(namespace, user, auth = {}) {
  const { io } = await loadClient();
  const connection = new Connection(io, namespace, user, auth);
  connection.socket.connect();
  return connection;
}

export class Connection extends EventTarget {
  /** @type {State} */
  state = "connecting";
  /** @type {Problem | null} while refused */
  problem = null;
  #tokenRenewed = false;

  /**
   * @param {typeof import("socket.io-client").io} io
   * @param {string} namespace
   * @param {User} user
   * @param {Record<string, unknown>} fields of `auth` besides the token
   */
  constructor(io, namespace, user, fields) {
    super();
    this.user = user;
    /** @param {(auth: object) => void} send */
    const auth = async (send) => send({ ...fields, token: await user.token() });
    this.socket = io(namespace, { path: PATH, auth, autoConnect: false, reconnectionDelayMax: 5000 });
    this.socket.on("connect", () => this.#onConnect());
    this.socket.on("disconnect", (reason) => this.#onDisconnect(reason));
    this.socket.on("connect_error", (error) => this.#onConnectError(error));
    this.socket.on("auth.expiring", () => this.#refreshToken());
  }

  get online() {
    return this.state === "online";
  }

  get transport() {
    return this.socket.io.engine?.transport?.name ?? null;
  }

  /** @param {string} event @param {(...args: any[]) => void} handler */
  on(event, handler) {
    this.socket.on(event, handler);
  }

  /** `changed(state)` now and at each change. @param {(state: State) => void} changed */
  watch(changed) {
    this.addEventListener("state", () => changed(this.state));
    changed(this.state);
  }

  /** Like `watch`, and also when the transport was upgraded. @param {(state: State) => void} changed */
  watchTransport(changed) {
    this.addEventListener("transport", () => changed(this.state));
    this.watch(changed);
  }

  /**
   * The answer of `event`, within ten seconds. Throws CallError.
   * @param {string} event
   * @param {object} [payload]
   * @returns {Promise<any>}
   */
  async call(event, payload = {}) {
    if (!this.socket.connected) throw new CallError({ code: "offline" });
    let answer;
    try {
      answer = await this.socket.timeout(CALL_TIMEOUT).emitWithAck(event, payload);
    } catch {
      throw new CallError({ code: this.socket.connected ? "timeout" : "offline" });
    }
    if (answer?.ok !== true) throw new CallError(answer?.error ?? { code: "internal" });
    return answer;
  }

  /** Connect again after a refusal. */
  retry() {
    this.#tokenRenewed = false;
    this.#setState("connecting");
    this.socket.connect();
  }

  #onConnect() {
    this.#tokenRenewed = false;
    this.#setState("online");
    this.socket.io.engine?.once("upgrade", () => this.dispatchEvent(new Event("transport")));
  }

  /** @param {string} reason */
  #onDisconnect(reason) {
    if (reason === "io client disconnect") return;
    const closed = reason === "io server disconnect";
    this.#setState(closed ? "refused" : "offline", closed ? { message: "closed", code: "closed" } : null);
  }

  /** @param {Error & {data?: any}} error */
  async #onConnectError(error) {
    if (this.socket.active) {
      this.#setState("offline");
      return;
    }
    const problem = { message: error.message, code: error.data?.code };
    if (await this.#hasNewToken(problem.code)) {
      this.socket.connect();
      return;
    }
    this.#setState("refused", problem);
    if (["rate_limited", "unavailable"].includes(problem.code)) {
      setTimeout(() => this.state === "refused" && this.retry(), (error.data.retryAfter ?? 5) * 1000);
    }
  }

  /**
   * A server restarted in development has new ready-made tokens: fetch them once before giving up.
   * @param {string | undefined} code
   */
  async #hasNewToken(code) {
    if (this.#tokenRenewed || !["token_invalid", "token_expired"].includes(code ?? "")) return false;
    this.#tokenRenewed = true;
    const before = await this.user.token();
    return (await this.user.token({ fresh: true })) !== before;
  }

  async #refreshToken() {
    const token = await this.user.token({ fresh: true });
    if (token) this.call("auth.refresh", { token }).catch(() => {});
  }

  /** @param {State} state @param {Problem | null} problem */
  #setState(state, problem = null) {
    this.state = state;
    this.problem = problem;
    this.dispatchEvent(new Event("state"));
  }
}
