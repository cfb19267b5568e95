"""Sessions: their outbox, the interfaces between the parts of the engine, and the state that these share."""
