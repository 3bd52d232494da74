"""What the status service needs from the world; each module owns one third-party library."""
