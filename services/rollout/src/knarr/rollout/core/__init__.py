"""Pure decisions: no await, clock, chance, log or client."""
