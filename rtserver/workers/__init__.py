"""Several processes on one port: `supervisor` starts and replaces them, `worker` is one of them.

The supervisor owns the listening socket and passes it to every worker, so that it is open as long as the supervisor
lives: while a worker is replaced, or all of them are down, connections wait in its queue and none is refused. Sockets
of each worker's own (SO_REUSEPORT) would lose what waits in the queue of a worker that goes, keep sending connections
to one that hangs, and on macOS share nothing out.
"""
