"""What the renderer touches the world with; each module owns one library, tool or stream."""
