// Connection to one namespace of rtserver through the official Socket.IO client.
// Callers see four states, and calls that either answer or throw CallError with a code of docs/events.md.
import { Emitter } from "./emitter.js";

/** @typedef {import("socket.io-client").Socket} Socket */
/** @typedef {typeof import("socket.io-client").io} Io */
/** @typedef {"connecting" | "online" | "offline" | "refused"} State offline: trying again; refused: gave up */
/** @typedef {{message: string, code?: string | undefined}} Problem */
/** @typedef {{event: string, data: any}} Announcement an event that no part of the front end knows */
/** @typedef {{code: string, message?: string, details?: any, retryAfter?: number}} CallProblem */
/** @typedef {string | null | undefined} MaybeToken */
/** @typedef {MaybeToken | ((options: {fresh: boolean}) => MaybeToken | Promise<MaybeToken>)} Token */
/**
 * @typedef {object} ConnectOptions
 * @property {Token} [token] the token, or a function that returns it; asked before each connection. `fresh`: the last
 *   one was refused or is about to expire
 * @property {Record<string, unknown>} [auth] fields of the CONNECT payload besides the token
 * @property {Io} [io] of your own copy of socket.io-client. Without it the one of the server is loaded
 * @property {string} [path] where the server serves Socket.IO, as in RTSERVER_PATH
 * @property {Record<string, unknown>} [options] for `io`
 */

const SOCKET_IO = "/socket.io";
const CLIENT = "socket.io.esm.min.js";
const CALL_TIMEOUT = 10_000; // ms
const RETRY = 5; // s
const PASSING = ["rate_limited", "unavailable"]; // refusals to try again after

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

/** @param {string} folder @returns {Promise<Io>} */
async function loadClient(folder) {
  try {
    return (await import(`${folder}/${CLIENT}`)).io;
  } catch {
    throw new ClientMissing(`The Socket.IO client could not be loaded from ${folder}`);
  }
}

/**
 * Connect to `namespace` of the server at `url`, such as `https://rt.example.com`; empty: the server of this page.
 * Throws ClientMissing.
 * @param {string} url
 * @param {string} namespace
 * @param {ConnectOptions} [options]
 */
export async function connect(url, namespace, { token, auth = {}, io, path = SOCKET_IO, options = {} } = {}) {
  const base = url.replace(/\/+$/, "");
  const open = io ?? (await loadClient(base + path));
  /** @type {Connection} */
  let connection;
  // A manager that is connected already asks at once, before `connection` is there. Other sockets share it, so it must
  // not be told `autoConnect: false`.
  /** @param {(auth: object) => void} send */
  const sendAuth = (send) =>
    queueMicrotask(() => connection.authenticate((value) => send(value ? { ...auth, token: value } : auth)));
  connection = new Connection(open(base + namespace, { path, ...options, auth: sendAuth }), { token });
  return connection;
}

/**
 * Takes a socket of socket.io-client, connected or not. Without `token` its owner sees to new tokens.
 * @extends {Emitter<{state: [State], transport: [], announcement: [Announcement]}>}
 */
export class Connection extends Emitter {
  /** @type {State} */
  state = "connecting";
  /** @type {Problem | null} while refused */
  problem = null;
  #tokenRenewed = false;
  #attempt = 0; // of authentication; an older one must not answer for the present connection
  #token;

  /** @param {Socket} socket @param {{token?: Token}} [options] */
  constructor(socket, { token } = {}) {
    super();
    /** @type {Socket} */
    this.socket = socket;
    this.#token = token;
    socket.on("connect", () => this.#onConnect());
    socket.on("disconnect", (reason) => this.#onDisconnect(reason));
    socket.on("connect_error", (error) => this.#onConnectError(error));
    socket.on("auth.expiring", () => this.#refreshToken());
    socket.onAny((event, data) => socket.hasListeners(event) || this.emit("announcement", { event, data }));
    if (socket.connected) this.#onConnect();
  }

  get online() {
    return this.state === "online";
  }

  get transport() {
    return this.socket.io.engine?.transport?.name ?? null;
  }

  /** The token to use now; throws what its source throws. @param {{fresh: boolean}} [options] */
  async token(options = { fresh: false }) {
    return typeof this.#token === "function" ? await this.#token(options) : this.#token;
  }

  /** `changed(state)` now and at each change. @param {(state: State) => void} changed */
  watch(changed) {
    const off = this.on("state", changed);
    changed(this.state);
    return off;
  }

  /** Like `watch`, and also when the transport was upgraded. @param {(state: State) => void} changed */
  watchTransport(changed) {
    this.on("transport", () => changed(this.state));
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

  /** Leave the namespace for good. */
  close() {
    this.#attempt += 1;
    this.socket.disconnect();
  }

  /** Call `send` with the token, as soon as its source has one. @param {(token: MaybeToken) => void} send */
  async authenticate(send) {
    this.#attempt += 1;
    for (const attempt = this.#attempt; attempt === this.#attempt; ) {
      try {
        const token = await this.token();
        if (attempt === this.#attempt) send(token);
        return;
      } catch {
        this.#setState("offline");
        await new Promise((resolve) => setTimeout(resolve, RETRY * 1000));
      }
    }
  }

  #onConnect() {
    this.#tokenRenewed = false;
    this.#setState("online");
    this.socket.io.engine?.once("upgrade", () => this.emit("transport"));
  }

  /** @param {string} reason */
  #onDisconnect(reason) {
    if (reason === "io client disconnect") {
      this.#setState("offline");
      return;
    }
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
    // The source of the token may have another one later.
    const newToken = problem.code === "token_expired" && typeof this.#token === "function";
    if (!newToken && !PASSING.includes(problem.code ?? "")) return;
    setTimeout(() => this.state === "refused" && this.socket.connect(), (error.data.retryAfter ?? RETRY) * 1000);
  }

  /**
   * Ask once for another token before giving up: the last one has expired, or the server has a new secret.
   * @param {string | undefined} code
   */
  async #hasNewToken(code) {
    if (this.#tokenRenewed || !["token_invalid", "token_expired"].includes(code ?? "")) return false;
    this.#tokenRenewed = true;
    try {
      const before = await this.token();
      return (await this.token({ fresh: true })) !== before;
    } catch {
      return false;
    }
  }

  async #refreshToken() {
    try {
      const token = await this.token({ fresh: true });
      if (token) await this.call("auth.refresh", { token });
    } catch {
      // Then the server closes the connection when the token expires, and the next one brings another.
    }
  }

  /** @param {State} state @param {Problem | null} problem */
  #setState(state, problem = null) {
    this.state = state;
    this.problem = problem;
    this.emit("state", state);
  }
}
