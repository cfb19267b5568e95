// Presence: which people are online, from answers and events.
// An event is newer than an answer that was requested before it.

/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {{id: string, name?: string, online?: boolean}} PersonFacts */

const MOST_USERS = 1000; // of one request

export class Presence {
  /** @type {Map<string, number>} id → clock of the last event */
  #times = new Map();
  clock = 0; // counts events

  /** @param {Connection} connection @param {Store} store */
  constructor(connection, store) {
    this.connection = connection;
    this.store = store;
    connection.socket.on("presence", ({ user, online }) => this.set(user, online));
  }

  async fetch() {
    const users = [...this.store.people.keys()].slice(0, MOST_USERS);
    const requested = this.clock;
    /** @type {{online: string[]}} */
    const { online } = await this.connection.call("online", { users });
    for (const id of users) this.update({ id, online: online.includes(id) }, requested);
  }

  /** @param {string} id @param {boolean} online */
  set(id, online) {
    this.clock += 1;
    this.#times.set(id, this.clock);
    this.store.updatePerson({ id, online });
  }

  /**
   * Apply an answer about a person.
   * @param {PersonFacts} person
   * @param {number} requested the clock when it was requested
   */
  update({ id, name, online }, requested) {
    const outdated = (this.#times.get(id) ?? 0) > requested;
    this.store.updatePerson({ id, name, online: outdated ? undefined : online });
  }
}
