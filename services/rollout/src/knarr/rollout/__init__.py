"""Rollout: the single writer of intent. Moves clusters from one revision to the next, behind guards."""
