"""Pure decisions of the agent: no await, clock, randomness, logging or client."""
