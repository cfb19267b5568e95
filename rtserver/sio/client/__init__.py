"""Clients, as handlers see them."""
