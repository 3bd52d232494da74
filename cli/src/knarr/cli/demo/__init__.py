"""The demo: a fleet, a story of commits, and what the terminal shows of it."""
