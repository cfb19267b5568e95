"""The cluster: Redis connections, adapters on Node's wire, presence, emitters."""
