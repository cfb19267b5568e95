"""The composition root: the one place that knows all settings and all concrete classes."""
