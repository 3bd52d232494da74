"""Pure decisions: documents, targets, YAML, paths, objects, checks. No await, clock, randomness, logging or client."""
