// The browser's storage for this site; undefined where it is switched off, as the mere look at it then throws.

/** @returns {Storage | undefined} */
export function siteStorage() {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}
