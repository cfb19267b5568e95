"""Several worker processes on one port: `supervisor` starts and replaces them, `worker` is one of them.

The supervisor owns the listening sockets and passes them to every worker. They are open as long as the supervisor
lives: while a worker is replaced, or all of them are down, connections wait in the queue and none is refused. A socket
for each worker (SO_REUSEPORT) would lose the queue of a worker that leaves, keep sending connections to a worker that
hangs, and on macOS would not distribute connections at all.
"""
