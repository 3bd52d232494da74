"""Follows Git sources and turns each new commit into a sealed snapshot. See README.md.

The only service that holds Git credentials. What a snapshot means is left to the renderer.
"""
