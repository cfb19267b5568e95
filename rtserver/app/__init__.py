"""Composition root: the only folder that knows all settings and all concrete classes."""
