export type CallError = import("./connection.js").CallError;
export type Person = {
    id: string;
    name: string;
};
export type Reaction = {
    emoji: string;
    count: number;
    users: string[];
};
export type Message = {
    id: string;
    room: string;
    seq: number;
    rev?: number;
    from: Person;
    text: string;
    sentAt: string;
    nonce?: string | null;
    replyTo?: string | null;
    mentions?: string[];
    data?: any;
    reactions?: Reaction[];
    editedAt?: string | null;
    deletedAt?: string | null;
};
export type Extra = {
    replyTo?: string | undefined;
    mentions?: string[] | undefined;
    data?: unknown;
};
export type Pending = Extra & {
    nonce: string;
    text: string;
    sentAt: string;
    state: "sending" | "waiting" | "failed";
    error: CallError | null;
    joined?: boolean;
};
export type RoomSettings = {
    readOnly: boolean;
    meta?: Record<string, unknown>;
    [field: string]: unknown;
};
/** @typedef {import("./connection.js").CallError} CallError */
/** @typedef {{id: string, name: string}} Person */
/** @typedef {{emoji: string, count: number, users: string[]}} Reaction */
/**
 * A message as docs/events.md has it.
 * @typedef {object} Message
 * @property {string} id
 * @property {string} room
 * @property {number} seq
 * @property {number} [rev]
 * @property {Person} from
 * @property {string} text
 * @property {string} sentAt
 * @property {string | null} [nonce]
 * @property {string | null} [replyTo]
 * @property {string[]} [mentions]
 * @property {any} [data]
 * @property {Reaction[]} [reactions]
 * @property {string | null} [editedAt]
 * @property {string | null} [deletedAt]
 */
/**
 * What a message may have besides its text: `replyTo`, the id of a message; `mentions`, ids of users; `data`, any JSON.
 * @typedef {{replyTo?: string | undefined, mentions?: string[] | undefined, data?: unknown}} Extra
 */
/**
 * A message that the server has not yet confirmed. `error`: why it waits or has failed.
 * @typedef {Extra & {nonce: string, text: string, sentAt: string, state: "sending" | "waiting" | "failed",
 *   error: CallError | null, joined?: boolean}} Pending
 */
/** @typedef {{readOnly: boolean, meta?: Record<string, unknown>, [field: string]: unknown}} RoomSettings */
export declare class Conversation {
    #private;
    room: string;
    peer: string | null;
    /** @type {Message[]} */
    messages: Message[];
    /** @type {Pending[]} */
    pending: Pending[];
    /** @type {Set<string>} ids */
    members: Set<string>;
    memberCount: number;
    /** @type {Map<string, number>} id → timer that ends it */
    typing: Map<string, number>;
    /** @type {Map<string, number>} id → the last seq that person has read */
    readCursors: Map<string, number>;
    unread: number;
    mentions: number;
    lastRead: number;
    rev: number;
    /** @type {number | null} seq of the first message that was unread when the conversation was opened */
    unreadFrom: number | null;
    hasOlder: boolean;
    loaded: boolean;
    opened: boolean;
    typingSigned: number;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    typingTimer: ReturnType<typeof setTimeout> | undefined;
    member: boolean;
    /** @type {Message | null} for the order in the sidebar while nothing is loaded */
    latest: Message | null;
    /** @type {RoomSettings | null} null: not known */
    settings: RoomSettings | null;
    /** @param {string} room @param {string | null} peer the other person of a direct conversation */
    constructor(room: string, peer?: string | null);
    get direct(): boolean;
    /** The fields with which requests address it. */
    get address(): {
        room: string;
        to?: undefined;
    } | {
        room?: undefined;
        to: string;
    };
    /** Whether only moderators may write here. */
    get readOnly(): boolean;
    get firstSeq(): number | null;
    get lastSeq(): number;
    /** The last seq before the first gap: messages of two servers may overtake each other. */
    get contiguousSeq(): number;
    get hasGap(): boolean;
    /** What is known of it, for `sync`. */
    get position(): {
        seq: number;
        rev: number;
    };
    /** Merge messages from anywhere, in any order; returns those that were not known. @param {Message[]} incoming */
    add(incoming: Message[]): Message[];
    /**
     * Add the newest page, when it is loaded for the first time. Older messages that arrived before lie behind a gap and
     * are dropped.
     * @param {Message[]} page
     */
    addNewestPage(page: Message[]): void;
    /**
     * Replace a message by its present state: edited, deleted or with other reactions. Changes may arrive out of order.
     * @param {Message} message
     */
    applyChange(message: Message): void;
    /** @param {{id: string, rev: number, reactions: Reaction[]}} reaction */
    applyReaction({ id, rev, reactions }: {
        id: string;
        rev: number;
        reactions: Reaction[];
    }): void;
    /** The newest message by `id` that can still be changed. @param {string} id */
    lastEditableOf(id: string): Message | null;
    /** @param {string} id */
    find(id: string): Message | null;
    /** Too far behind to fill the gap: begin again from the newest page. @param {Message[]} messages */
    restart(messages: Message[]): void;
    /** @param {number} seq @param {string} me */
    markReadUpTo(seq: number, me: string): void;
    /** The members are being requested: changes of membership from now on are newer than the answer. */
    beginMembersRequest(): void;
    /** @param {string[]} ids @param {number} count of all members */
    endMembersRequest(ids: string[], count: number): void;
    /** @param {string} id @param {boolean} here */
    setMember(id: string, here: boolean): void;
    /** People who have read the newest message, if it is one of `me`. @param {string} me */
    readersOfLast(me: string): string[];
}
/** The room of a direct conversation: both ids, sorted, `%` and `:` in them escaped. @param {[string, string]} ids */
export declare function directRoom(...ids: [string, string]): string;
/** The peer of `me` in a direct room, or null for any other room. @param {string} room @param {string} me */
export declare function peerOf(room: string, me: string): string | null;
