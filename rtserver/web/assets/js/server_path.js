// Where the server serves Socket.IO and its client. The server replaces this module if RTSERVER_PATH is another path.

export const PATH = "/socket.io";
