"""Settings: declaration, sources, validation, and the reference page."""
