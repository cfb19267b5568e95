// Start of a page that needs a user: find or ask for the user, and say what is missing on the server.
import { ClientMissing } from "../../client/connection.js";
import { askForUser } from "./people.js";
import { addressFor, chooseUser, currentUser, readyTokens } from "./session.js";
import { showClientMissing, showUser } from "./topbar.js";

/** @typedef {import("./session.js").User} User */
/** @typedef {import("./session.js").ReadyUser} ReadyUser */

/**
 * Find or ask for this tab's user, then `run(user, users)` with all ready-made users.
 * @param {(user: User, users: ReadyUser[]) => Promise<void>} run
 */
export async function startSignedIn(run) {
  const users = (await readyTokens())?.users ?? null;
  const user = (await currentUser()) ?? (await signIn(users));
  showUser(user, users);
  try {
    await run(user, users ?? []);
  } catch (error) {
    if (!(error instanceof ClientMissing)) throw error;
    showClientMissing();
  }
}

/** @param {ReadyUser[] | null} users */
async function signIn(users) {
  const id = await askForUser(users);
  if (users) {
    chooseUser(id);
    history.replaceState(null, "", addressFor(id) + location.hash);
  }
  return /** @type {User} */ (await currentUser());
}
