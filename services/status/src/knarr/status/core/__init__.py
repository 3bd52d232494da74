"""Pure decisions of the status service: what a message means for the read model, and what the read model says."""
