export type Note = {
    id: string;
    seq: number;
    type: string;
    message: string;
    data: any;
    createdAt: string;
    expiresAt?: string | null;
    read: boolean;
    seen: boolean;
    /**
     * of the group
     */
    count: number;
    /**
     * quiet hours: no sound
     */
    silent?: boolean;
    muted?: boolean;
};
export type Which = {
    ids?: string[];
    upTo?: number;
    all?: boolean;
};
/**
 * A notification as docs/events.md has it.
 * @typedef {object} Note
 * @property {string} id
 * @property {number} seq
 * @property {string} type
 * @property {string} message
 * @property {any} data
 * @property {string} createdAt
 * @property {string | null} [expiresAt]
 * @property {boolean} read
 * @property {boolean} seen
 * @property {number} count of the group
 * @property {boolean} [silent] quiet hours: no sound
 * @property {boolean} [muted]
 */
/** @typedef {{ids?: string[], upTo?: number, all?: boolean}} Which these, those up to a seq, or all */
export declare class Inbox {
    #private;
    /** @type {Map<string, Note>} by id */
    notes: Map<string, Note>;
    unread: number;
    unseen: number;
    /** @type {Set<string>} all types that were ever here */
    types: Set<string>;
    hasOlder: boolean;
    /** The list is being requested: changes from now on are newer than the answer. */
    beginRequest(): void;
    /**
     * Begin anew with the answer and the changes since it was requested; without an answer nothing changes.
     * @param {Note[] | undefined} notifications
     */
    endRequest(notifications: Note[] | undefined): void;
    /** Merge notifications from an answer or an event. @param {Note[]} notifications */
    add(notifications: Note[]): void;
    /** Whether it adds to the unread count: a group that has grown was counted when it began. @param {Note} note */
    addsToUnread(note: Note): boolean;
    /**
     * The notifications that pass the filters and have not expired, newest first.
     * @param {{unreadOnly: boolean, type: string}} filters
     */
    shown({ unreadOnly, type }: {
        unreadOnly: boolean;
        type: string;
    }): Note[];
    /** When the next one expires, in milliseconds from now; Infinity for never. */
    get nextExpiry(): number;
    get newestSeq(): number;
    get oldestSeq(): number;
    /** Mark as read, and seen. @param {Which} which */
    markRead(which: Which): void;
    /** @param {Which} which */
    markSeen(which: Which): void;
    /** @param {string[]} ids */
    remove(ids: string[]): void;
}
