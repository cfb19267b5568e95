/** @param {string | null | undefined} token @returns {{sub?: unknown, name?: unknown} | null} */
export declare function claimsOf(token: string | null | undefined): {
    sub?: unknown;
    name?: unknown;
} | null;
/**
 * The user of a token, with the name that it has; undefined when it cannot be read.
 * @param {string | null | undefined} token
 */
export declare function subjectOf(token: string | null | undefined): {
    id: string;
    name: string;
} | undefined;
