export type Connection = import("./connection.js").Connection;
export type Conversation = import("./conversation.js").Conversation;
export type Message = import("./conversation.js").Message;
export type Store = import("./store.js").Store;
export declare class Actions {
    #private;
    connection: import("./connection.js").Connection;
    store: import("./store.js").Store;
    /** @param {Connection} connection @param {Store} store */
    constructor(connection: Connection, store: Store);
    /** Report that the newest message of this conversation has been in view. @param {Conversation} conversation */
    markRead(conversation: Conversation): Promise<void>;
    /** @param {Conversation} conversation @param {Message} message @param {string} text */
    edit(conversation: Conversation, { id }: Message, text: string): Promise<import("./conversation.js").Message>;
    /** @param {Conversation} conversation @param {Message} message */
    remove(conversation: Conversation, { id }: Message): Promise<import("./conversation.js").Message>;
    /** @param {Conversation} conversation @param {Message} message @param {string} emoji @param {boolean} on */
    react(conversation: Conversation, { id }: Message, emoji: string, on: boolean): Promise<import("./conversation.js").Message>;
    /** Announce that the user is typing; call it as often as a key is pressed. @param {Conversation} conversation */
    signTyping(conversation: Conversation): void;
    /** @param {Conversation} conversation */
    endTyping(conversation: Conversation): void;
    /** @param {Conversation} conversation */
    leave(conversation: Conversation): Promise<void>;
}
