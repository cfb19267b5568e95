export type Connection = import("./connection.js").Connection;
export type Conversation = import("./conversation.js").Conversation;
export type Extra = import("./conversation.js").Extra;
export type Message = import("./conversation.js").Message;
export type Pending = import("./conversation.js").Pending;
export type Store = import("./store.js").Store;
export type KeyValues = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;
export type Waiter = {
    conversation: Conversation;
    resolve: (message: Message) => void;
    reject: (error: unknown) => void;
};
export declare class Outbox {
    #private;
    connection: import("./connection.js").Connection;
    store: import("./store.js").Store;
    join: (conversation: Conversation) => Promise<void>;
    storage: KeyValues | undefined;
    /**
     * @param {Connection} connection
     * @param {Store} store
     * @param {{join: (conversation: Conversation) => Promise<void>, storage?: KeyValues | undefined}} options
     */
    constructor(connection: Connection, store: Store, { join, storage }: {
        join: (conversation: Conversation) => Promise<void>;
        storage?: KeyValues | undefined;
    });
    /**
     * Resolves when the message is saved; rejects with the error that is final, or when it is discarded.
     * @param {Conversation} conversation
     * @param {string} text
     * @param {Extra} [extra]
     * @returns {Promise<Message>}
     */
    send(conversation: Conversation, text: string, { replyTo, mentions, data }?: Extra): Promise<Message>;
    /** Send a failed message again. @param {Conversation} conversation @param {Pending} entry */
    retry(conversation: Conversation, entry: Pending): void;
    /** Give up a message that is not sent. @param {Conversation} conversation @param {Pending} entry */
    discard(conversation: Conversation, entry: Pending): void;
    /** Give up all of a conversation, because the user leaves it. @param {Conversation} conversation */
    drop(conversation: Conversation): void;
    /** Send all that waits; runs at each connect. */
    flush(): void;
}
