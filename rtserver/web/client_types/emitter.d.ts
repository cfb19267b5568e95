/** @template {Record<string, any[]>} Events the arguments by event */
export declare class Emitter<Events extends Record<string, any[]>> {
    #private;
    /**
     * Call `listener` at each `event`, until the returned function is called.
     * @template {keyof Events} E
     * @param {E} event
     * @param {(...args: Events[E]) => void} listener
     * @returns {() => void}
     */
    on<E extends keyof Events>(event: E, listener: (...args: Events[E]) => void): () => void;
    /**
     * @template {keyof Events} E
     * @param {E} event
     * @param {Events[E]} args
     */
    emit<E extends keyof Events>(event: E, ...args: Events[E]): void;
}
