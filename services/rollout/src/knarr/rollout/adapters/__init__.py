"""Each adapter owns one third-party library."""
