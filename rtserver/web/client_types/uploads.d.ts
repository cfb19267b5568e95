export type Connection = import("./connection.js").Connection;
export type Message = import("./conversation.js").Message;
export type Attachment = {
    url: string;
    name: string;
    type: string;
    size: number;
};
export type ShownAttachment = Attachment & {
    kind: "image" | "audio" | "video" | "file";
};
export declare class Uploads {
    #private;
    connection: import("./connection.js").Connection;
    url: string;
    /** @param {Connection} connection @param {string | undefined} url of the server; without it that of the connection */
    constructor(connection: Connection, url: string | undefined);
    /** Whether the server takes files. */
    enabled(): Promise<boolean>;
    /** What a message needs to refer to the file. Throws CallError. @param {File} file @returns {Promise<Attachment>} */
    upload(file: File): Promise<Attachment>;
}
/**
 * The file of a message, with an address to load it from; null for none. The content of `data` is a user's: only files
 * of this server count.
 * @param {Message} message
 * @param {string} [url] of the server
 * @returns {ShownAttachment | null}
 */
export declare function attachmentOf({ data, deletedAt }: Message, url?: string): ShownAttachment | null;
