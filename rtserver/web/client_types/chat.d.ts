import { Actions } from "./chat_actions.js";
import { CallError, ClientMissing, Connection, codeOf } from "./connection.js";
import { Emitter } from "./emitter.js";
import { Outbox } from "./outbox.js";
import { Store } from "./store.js";
import { Sync } from "./sync.js";
import { attachmentOf, Uploads } from "./uploads.js";
export { attachmentOf, CallError, ClientMissing, codeOf };
export type Announcement = import("./connection.js").Announcement;
export type ConnectOptions = import("./connection.js").ConnectOptions;
export type Problem = import("./connection.js").Problem;
export type Socket = import("./connection.js").Socket;
export type State = import("./connection.js").State;
export type Token = import("./connection.js").Token;
export type Conversation = import("./conversation.js").Conversation;
export type Extra = import("./conversation.js").Extra;
export type Message = import("./conversation.js").Message;
export type Pending = import("./conversation.js").Pending;
export type Person = import("./conversation.js").Person;
export type KeyValues = import("./outbox.js").KeyValues;
export type Arrival = {
    message: Message;
    conversation: Conversation;
    mine: boolean;
};
export type ChatOptions = {
    user?: string | Person | undefined;
    storage?: KeyValues | undefined;
    people?: Person[];
};
/**
 * `error`: the state could not be fetched; it is requested again. `announcement`: an event that `/chat` itself does not
 * have, sent by an admin or a backend.
 * @extends {Emitter<{change: [], message: [Arrival], state: [State, Problem | null],
 *   error: [CallError], announcement: [Announcement]}>}
 */
export declare class Chat extends Emitter<{
    change: [];
    message: [Arrival];
    state: [State, Problem | null];
    error: [CallError];
    announcement: [Announcement];
}> {
    #private;
    connection: Connection;
    store: Store;
    sync: Sync;
    actions: Actions;
    outbox: Outbox;
    uploads: Uploads;
    /**
     * Connect to the server at `url`; empty: the server of this page. Throws ClientMissing, where no `io` is given.
     * @param {string} url
     * @param {ConnectOptions & ChatOptions} options
     */
    static connect(url: string, { user, storage, people, ...options }: ConnectOptions & ChatOptions): Promise<Chat>;
    /**
     * With a socket of your own, connected to `/chat`, `user` is required; `token` only for uploads.
     * @param {Socket | Connection} socket
     * @param {ChatOptions & {token?: Token, url?: string}} options
     */
    constructor(socket: Socket | Connection, { user, storage, people, token, url }: ChatOptions & {
        token?: Token;
        url?: string;
    });
    get me(): import("./conversation.js").Person;
    /** @returns {State} */
    get state(): State;
    /** Resolves when connected and up to date. */
    get ready(): Promise<void>;
    /** The rooms of the user, those with the latest messages first. */
    get rooms(): import("./conversation.js").Conversation[];
    /** Rooms and direct conversations by the name of their room. */
    get conversations(): Map<string, import("./conversation.js").Conversation>;
    /** What is known of a user: `{id, name, online}`. @param {string} id */
    person(id: string): import("./store.js").KnownPerson;
    /**
     * Open a room, or make it: the user becomes a member until `leave`. Throws CallError.
     * @param {string} room
     * @returns {Promise<Conversation>}
     */
    open(room: string): Promise<Conversation>;
    /** Open the direct conversation with a user. @param {string} user */
    openDirect(user: string): Promise<import("./conversation.js").Conversation>;
    /** Leave a room: the membership ends, and what was not sent is discarded. @param {Conversation} conversation */
    leave(conversation: Conversation): Promise<void>;
    /**
     * Send a message: it is in `pending` at once, and in `messages` when the promise resolves. A rejection is final.
     * @param {Conversation} conversation
     * @param {string} text
     * @param {Extra} [extra]
     */
    send(conversation: Conversation, text: string, extra?: Extra): Promise<import("./conversation.js").Message>;
    /** Send a failed message again. @param {Conversation} conversation @param {Pending} pending */
    retry(conversation: Conversation, pending: Pending): void;
    /** Give up a message that is not sent. @param {Conversation} conversation @param {Pending} pending */
    discard(conversation: Conversation, pending: Pending): void;
    /**
     * Upload a file and send it, with a text or its name. Throws CallError.
     * @param {Conversation} conversation
     * @param {File} file
     */
    sendFile(conversation: Conversation, file: File, text?: string): Promise<import("./conversation.js").Message>;
    /** The file of a message, with an address to load it from; null for none. @param {Message} message */
    attachmentOf(message: Message): import("./uploads.js").ShownAttachment | null;
    /** Load the page before the oldest message; does nothing without `hasOlder`. @param {Conversation} conversation */
    older(conversation: Conversation): Promise<void>;
    /** Load older pages until a message is there, by its `seq`. @param {Conversation} conversation @param {number} seq */
    loadBackTo(conversation: Conversation, seq: number): Promise<void>;
    /** Change one's own message. @param {Message} message @param {string} text */
    edit(message: Message, text: string): Promise<import("./conversation.js").Message>;
    /** Delete a message. @param {Message} message */
    remove(message: Message): Promise<import("./conversation.js").Message>;
    /** Add a reaction, or take it back. @param {Message} message @param {string} emoji */
    react(message: Message, emoji: string, on?: boolean): Promise<import("./conversation.js").Message>;
    /** Call it with every keystroke. @param {Conversation} conversation */
    typing(conversation: Conversation): void;
    /** The text is empty again, or another conversation is on screen. @param {Conversation} conversation */
    stopTyping(conversation: Conversation): void;
    /** Call it when the end of a conversation is in view. @param {Conversation} conversation */
    read(conversation: Conversation): Promise<void>;
    /**
     * Messages with all of these words, the newest first, in one conversation or in all.
     * @param {string} query
     * @param {{in?: Conversation, cursor?: string}} [where] `cursor`: the `next` of the previous page
     * @returns {Promise<{messages: Message[], next: string | null}>}
     */
    search(query: string, { in: conversation, cursor }?: {
        in?: Conversation;
        cursor?: string;
    }): Promise<{
        messages: Message[];
        next: string | null;
    }>;
    /** Change the settings of a room, as a moderator. @param {Conversation} conversation @param {object} changes */
    configure(conversation: Conversation, changes: object): Promise<import("./conversation.js").RoomSettings>;
    /** End the connection. */
    close(): void;
}
