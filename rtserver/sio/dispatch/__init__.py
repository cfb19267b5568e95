"""Dispatch of events to handlers."""
