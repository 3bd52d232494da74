"""NATS, through libs/messaging: the sealed vault in SNAPSHOTS, and what the others are told."""
