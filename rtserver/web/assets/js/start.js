// Owns how a signed-in page starts: who is here, what to say when something needed is missing.
import { BundleMissing } from "./api.js";
import { askWho } from "./people.js";
import { addressFor, choose, currentUser, readyTokens } from "./session.js";
import { bundleHint, showUser } from "./topbar.js";

/** Find or ask for this tab's user, then `run(user, users)`. */
export async function start(run) {
  const users = (await readyTokens())?.users ?? null;
  const user = (await currentUser()) ?? (await ask(users));
  showUser(user, users);
  try {
    await run(user, users ?? []);
  } catch (error) {
    if (!(error instanceof BundleMissing)) throw error;
    bundleHint();
  }
}

async function ask(users) {
  const id = await askWho(users);
  if (users) {
    choose(id);
    history.replaceState(null, "", addressFor(id) + location.hash);
  }
  return currentUser();
}
