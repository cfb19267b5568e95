import { Presence } from "./presence.js";
export type Connection = import("./connection.js").Connection;
export type Conversation = import("./conversation.js").Conversation;
export type Message = import("./conversation.js").Message;
export type RoomSettings = import("./conversation.js").RoomSettings;
export type Store = import("./store.js").Store;
export type PersonFacts = import("./presence.js").PersonFacts;
export type RoomSummary = {
    room: string;
    unread: number;
    mentions: number;
    lastMessage?: Message;
    lastRead?: number;
    rev: number;
};
export type MissedPart = {
    changed: Message[];
    messages: Message[];
    lastSeq: number;
    rev: number;
    unread: number;
    lastRead: number;
    more: boolean;
    error?: {
        code: string;
    };
};
export type OnArrival = (conversation: Conversation, message: Message, mine: boolean) => void;
export declare class Sync {
    #private;
    connection: import("./connection.js").Connection;
    store: import("./store.js").Store;
    onArrival: OnArrival;
    presence: Presence;
    /** @param {Connection} connection @param {Store} store @param {{onArrival: OnArrival}} options */
    constructor(connection: Connection, store: Store, { onArrival }: {
        onArrival: OnArrival;
    });
    /** Bring everything up to date, and this connection into all rooms of the user; runs at each connect. */
    catchUp(): Promise<void>;
    /** Load the newest page; the user becomes a member of a room by it. @param {Conversation} conversation */
    load(conversation: Conversation): Promise<void>;
    /** Join a room and load its newest page. @param {Conversation} conversation */
    join(conversation: Conversation): Promise<void>;
    /** @param {Conversation} conversation @returns {Promise<RoomSettings>} */
    settings(conversation: Conversation): Promise<RoomSettings>;
    /** @param {Conversation} conversation @param {object} changes @returns {Promise<RoomSettings>} */
    configure(conversation: Conversation, changes: object): Promise<RoomSettings>;
    /** Load the page before the oldest message. @param {Conversation} conversation */
    loadOlder(conversation: Conversation): Promise<void>;
    /**
     * Load older pages until the message with this seq is there, or there are no more.
     * @param {Conversation} conversation
     * @param {number} seq
     */
    loadBackTo(conversation: Conversation, seq: number): Promise<void>;
}
