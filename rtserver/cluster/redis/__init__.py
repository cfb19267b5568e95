"""Redis connections: commands, subscriptions, topologies."""
