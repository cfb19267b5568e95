// Owns the connection to one namespace, through the official Socket.IO client that the server ships.
// Callers see four states and calls that either answer or throw CallError with a code of docs/events.md.

const BUNDLE = "/socket.io/socket.io.esm.min.js";
const ANSWER_WITHIN = 10_000; // ms to wait for an ack

export class BundleMissing extends Error {}

export class CallError extends Error {
  constructor({ code, message, details, retryAfter }) {
    super(message ?? code);
    this.code = code;
    this.details = details;
    this.retryAfter = retryAfter ?? details?.retryAfter;
  }

  /** Worth sending again as it is. */
  get passing() {
    return ["offline", "timeout", "rate_limited", "unavailable"].includes(this.code);
  }
}

async function client() {
  try {
    return await import(BUNDLE);
  } catch {
    throw new BundleMissing("The Socket.IO client could not be loaded");
  }
}

/**
 * Connect `user` ({token()}) to `namespace`, with `auth` besides the token. Throws BundleMissing when the client build
 * is not installed.
 */
export async function connect(namespace, user, auth = {}) {
  const { io } = await client();
  const connection = new Connection(io, namespace, user, auth);
  connection.socket.connect();
  return connection;
}

export class Connection extends EventTarget {
  state = "connecting"; // "connecting" | "online" | "offline" (trying again) | "refused" (gave up)
  problem = null; // {message, code} while refused
  #renewed = false;

  constructor(io, namespace, user, more) {
    super();
    this.user = user;
    const auth = async (send) => send({ ...more, token: await user.token() });
    this.socket = io(namespace, { auth, autoConnect: false, reconnectionDelayMax: 5000 });
    this.socket.on("connect", () => this.#online());
    this.socket.on("disconnect", (reason) => this.#lost(reason));
    this.socket.on("connect_error", (error) => this.#failed(error));
    this.socket.on("auth.expiring", () => this.#renew());
  }

  get online() {
    return this.state === "online";
  }

  get transport() {
    return this.socket.io.engine?.transport?.name ?? null;
  }

  on(event, handler) {
    this.socket.on(event, handler);
  }

  /** `changed(state)` now and at each change. */
  watch(changed) {
    this.addEventListener("state", () => changed(this.state));
    changed(this.state);
  }

  /** Like `watch`, and also when the transport was upgraded. */
  watchTransport(changed) {
    this.addEventListener("transport", () => changed(this.state));
    this.watch(changed);
  }

  /** The answer of `event`, without waiting longer than ten seconds for it. */
  async call(event, payload = {}) {
    if (!this.socket.connected) throw new CallError({ code: "offline" });
    let answer;
    try {
      answer = await this.socket.timeout(ANSWER_WITHIN).emitWithAck(event, payload);
    } catch {
      throw new CallError({ code: this.socket.connected ? "timeout" : "offline" });
    }
    if (answer?.ok !== true) throw new CallError(answer?.error ?? { code: "internal" });
    return answer;
  }

  retry() {
    this.#renewed = false;
    this.#become("connecting");
    this.socket.connect();
  }

  close() {
    this.socket.disconnect();
  }

  #online() {
    this.#renewed = false;
    this.#become("online");
    this.socket.io.engine?.once("upgrade", () => this.dispatchEvent(new Event("transport")));
  }

  #lost(reason) {
    if (reason === "io client disconnect") return;
    const closed = reason === "io server disconnect";
    this.#become(closed ? "refused" : "offline", closed ? { message: "closed", code: "closed" } : null);
  }

  async #failed(error) {
    if (this.socket.active) return this.#become("offline");
    const problem = { message: error.message, code: error.data?.code };
    if (await this.#newToken(problem.code)) return this.socket.connect();
    this.#become("refused", problem);
    if (["rate_limited", "unavailable"].includes(problem.code)) {
      setTimeout(() => this.state === "refused" && this.retry(), (error.data.retryAfter ?? 5) * 1000);
    }
  }

  /** A server restarted in development has new ready-made tokens: fetch them once before giving up. */
  async #newToken(code) {
    if (this.#renewed || !["token_invalid", "token_expired"].includes(code)) return false;
    this.#renewed = true;
    const before = await this.user.token();
    return (await this.user.token({ fresh: true })) !== before;
  }

  async #renew() {
    const token = await this.user.token({ fresh: true });
    if (token) this.call("auth.refresh", { token }).catch(() => {});
  }

  #become(state, problem = null) {
    this.state = state;
    this.problem = problem;
    this.dispatchEvent(new Event("state"));
  }
}
