import { Emitter } from "./emitter.js";
export type Socket = import("socket.io-client").Socket;
export type Io = typeof import("socket.io-client").io;
export type State = "connecting" | "online" | "offline" | "refused";
export type Problem = {
    message: string;
    code?: string | undefined;
};
export type Announcement = {
    event: string;
    data: any;
};
export type CallProblem = {
    code: string;
    message?: string;
    details?: any;
    retryAfter?: number;
};
export type MaybeToken = string | null | undefined;
export type Token = MaybeToken | ((options: {
    fresh: boolean;
}) => MaybeToken | Promise<MaybeToken>);
export type ConnectOptions = {
    /**
     * the token, or a function that returns it; asked before each connection. `fresh`: the last
     * one was refused or is about to expire
     */
    token?: Token;
    /**
     * fields of the CONNECT payload besides the token
     */
    auth?: Record<string, unknown>;
    /**
     * of your own copy of socket.io-client. Without it the one of the server is loaded
     */
    io?: Io;
    /**
     * where the server serves Socket.IO, as in RTSERVER_PATH
     */
    path?: string;
    /**
     * for `io`
     */
    options?: Record<string, unknown>;
};
/** The client build is not installed on the server. */
export declare class ClientMissing extends Error {
}
/** A call that failed; `retryAfter` is in seconds. */
export declare class CallError extends Error {
    code: string;
    details: any;
    /** @type {number | undefined} */
    retryAfter: number | undefined;
    /** @param {CallProblem} problem */
    constructor({ code, message, details, retryAfter }: CallProblem);
}
/** The code of a failed call; undefined for any other error. @param {unknown} error */
export declare const codeOf: (error: unknown) => string | undefined;
/**
 * Connect to `namespace` of the server at `url`, such as `https://rt.example.com`; empty: the server of this page.
 * Throws ClientMissing.
 * @param {string} url
 * @param {string} namespace
 * @param {ConnectOptions} [options]
 */
export declare function connect(url: string, namespace: string, { token, auth, io, path, options }?: ConnectOptions): Promise<Connection>;
/**
 * Takes a socket of socket.io-client, connected or not. Without `token` its owner sees to new tokens.
 * @extends {Emitter<{state: [State], transport: [], announcement: [Announcement]}>}
 */
export declare class Connection extends Emitter<{
    state: [State];
    transport: [];
    announcement: [Announcement];
}> {
    #private;
    /** @type {Socket} */
    socket: Socket;
    /** @type {State} */
    state: State;
    /** @type {Problem | null} while refused */
    problem: Problem | null;
    /** @param {Socket} socket @param {{token?: Token}} [options] */
    constructor(socket: Socket, { token }?: {
        token?: Token;
    });
    get online(): boolean;
    get transport(): string;
    /** The token to use now; throws what its source throws. @param {{fresh: boolean}} [options] */
    token(options?: {
        fresh: boolean;
    }): Promise<MaybeToken>;
    /** `changed(state)` now and at each change. @param {(state: State) => void} changed */
    watch(changed: (state: State) => void): () => void;
    /** Like `watch`, and also when the transport was upgraded. @param {(state: State) => void} changed */
    watchTransport(changed: (state: State) => void): void;
    /**
     * The answer of `event`, within ten seconds. Throws CallError.
     * @param {string} event
     * @param {object} [payload]
     * @returns {Promise<any>}
     */
    call(event: string, payload?: object): Promise<any>;
    /** Connect again after a refusal. */
    retry(): void;
    /** Leave the namespace for good. */
    close(): void;
    /** Call `send` with the token, as soon as its source has one. @param {(token: MaybeToken) => void} send */
    authenticate(send: (token: MaybeToken) => void): Promise<void>;
}
