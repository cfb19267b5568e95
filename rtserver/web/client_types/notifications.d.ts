import { CallError, ClientMissing, Connection, codeOf } from "./connection.js";
import { Emitter } from "./emitter.js";
export { CallError, ClientMissing, codeOf };
export type Announcement = import("./connection.js").Announcement;
export type ConnectOptions = import("./connection.js").ConnectOptions;
export type Problem = import("./connection.js").Problem;
export type Socket = import("./connection.js").Socket;
export type State = import("./connection.js").State;
export type Token = import("./connection.js").Token;
export type Note = import("./inbox.js").Note;
export type Which = import("./inbox.js").Which;
export type QuietHours = {
    from: string;
    to: string;
    timeZone: string;
};
export type Preferences = {
    mutedTypes: string[];
    mutedRooms: string[];
    quietHours: QuietHours | null;
};
export type Counts = {
    unread: number;
    unseen: number;
};
export type Filter = {
    unreadOnly?: boolean;
    type?: string;
};
/**
 * `error`: a list could not be loaded; it is requested again. `announcement`: an event that `/notifications`
 * itself does not have.
 * @extends {Emitter<{change: [], notification: [Note], preferences: [Preferences], state: [State, Problem | null],
 *   error: [CallError], announcement: [Announcement]}>}
 */
export declare class Notifications extends Emitter<{
    change: [];
    notification: [Note];
    preferences: [Preferences];
    state: [State, Problem | null];
    error: [CallError];
    announcement: [Announcement];
}> {
    #private;
    connection: Connection;
    /** whether the list is there */
    loaded: boolean;
    /** @type {Preferences | null} null: not known */
    preferences: Preferences | null;
    /**
     * Connect to the server at `url`; empty: the server of this page. With the name of a `device`, its pushes have
     * receipts. Throws ClientMissing, where no `io` is given.
     * @param {string} url
     * @param {ConnectOptions & {device?: string | undefined}} options
     */
    static connect(url: string, { device, auth, ...options }: ConnectOptions & {
        device?: string | undefined;
    }): Promise<Notifications>;
    /** With a socket of your own, connected to `/notifications`. @param {Socket | Connection} socket */
    constructor(socket: Socket | Connection);
    /** Those that pass the filter and have not expired, newest first. */
    get list(): import("./inbox.js").Note[];
    get unread(): number;
    /** For a badge. */
    get unseen(): number;
    /** All types that are known, for a filter. */
    get types(): string[];
    get hasOlder(): boolean;
    /** @returns {State} */
    get state(): State;
    /** Show only these. @param {Filter} filter */
    filter({ unreadOnly, type }: Filter): Promise<void>;
    /** Load the next page. */
    older(): Promise<void>;
    /** Report as seen all that is loaded: it is in view, but not yet read. Does nothing while the page is hidden. */
    seen(): Promise<void>;
    /** Mark these as read. Throws CallError. @param {string[]} ids */
    read(ids: string[]): Promise<void>;
    /** Mark all as read, but not what comes in at this very moment. Throws CallError. */
    readAll(): Promise<void>;
    /** Delete these. Throws CallError. @param {string[]} ids */
    remove(ids: string[]): Promise<void>;
    /**
     * Change preferences; what is left out stays as it is. Throws CallError.
     * @param {Partial<Preferences>} changes
     */
    setPreferences(changes: Partial<Preferences>): Promise<void>;
    /** End the connection. */
    close(): void;
}
