"""Bundles: canonical objects, their digest, packing, sealing, and signed assignments.

The renderer packs and seals; rollout derives keys and signs; the agent verifies, opens and unpacks. Nothing here
talks to a network or reads a clock.
"""
