"""Emitters: events published to a cluster by processes that hold no clients."""
