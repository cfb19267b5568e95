"""Limits on connections and clients."""
