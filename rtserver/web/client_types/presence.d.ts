export type Connection = import("./connection.js").Connection;
export type Store = import("./store.js").Store;
export type PersonFacts = {
    id: string;
    name?: string;
    online?: boolean;
};
export declare class Presence {
    #private;
    connection: import("./connection.js").Connection;
    store: import("./store.js").Store;
    clock: number;
    /** @param {Connection} connection @param {Store} store */
    constructor(connection: Connection, store: Store);
    fetch(): Promise<void>;
    /** @param {string} id @param {boolean} online */
    set(id: string, online: boolean): void;
    /**
     * Apply an answer about a person.
     * @param {PersonFacts} person
     * @param {number} requested the clock when it was requested
     */
    update({ id, name, online }: PersonFacts, requested: number): void;
}
