import { Conversation } from "./conversation.js";
import { Emitter } from "./emitter.js";
export type Person = import("./conversation.js").Person;
export type KnownPerson = Person & {
    online: boolean;
};
/** @extends {Emitter<{change: []}>} */
export declare class Store extends Emitter<{
    change: [];
}> {
    #private;
    me: import("./conversation.js").Person;
    /** @type {Map<string, Conversation>} by room */
    conversations: Map<string, Conversation>;
    /** @type {Map<string, KnownPerson>} by id */
    people: Map<string, KnownPerson>;
    /** @type {Conversation | null} the one on screen, if the front end has set it by `open` */
    active: Conversation | null;
    /** @param {Person} me @param {Person[]} people */
    constructor(me: Person, people: Person[]);
    /** Emit one `change` for everything that happens in this turn of the event loop. */
    changed(): void;
    /**
     * What is left out stays as it was.
     * @param {{id: string, name?: string | undefined, online?: boolean | undefined}} person
     */
    updatePerson({ id, name, online }: {
        id: string;
        name?: string | undefined;
        online?: boolean | undefined;
    }): void;
    /** @param {string} id @returns {KnownPerson} */
    person(id: string): KnownPerson;
    /** The conversation of `room`, made where it is not known. @param {string} room */
    conversation(room: string): Conversation;
    /** @param {string} id of the other person */
    directConversation(id: string): Conversation;
    /** @param {Conversation} conversation */
    remove(conversation: Conversation): void;
    /** @param {Conversation} conversation */
    title(conversation: Conversation): string;
    /** The rooms, those with the latest messages first. */
    get rooms(): Conversation[];
    /** All other people: those with a direct conversation first, the latest on top, then the rest by name. */
    get contacts(): KnownPerson[];
    get unread(): number;
    /** @param {Conversation} conversation */
    open(conversation: Conversation): void;
    /** Remember where the unread messages begin, for the dividing line. @param {Conversation} conversation */
    markFirstUnread(conversation: Conversation): void;
    /** @param {Conversation} conversation @param {string} id @param {boolean} typing */
    setTyping(conversation: Conversation, id: string, typing: boolean): void;
}
