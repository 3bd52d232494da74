"""Each adapter owns one way to the world: kubernetes, simulated, nats."""
