"""The client as handlers see it."""
