"""What every Knarr process shares: lifecycle, logging, telemetry, health and settings."""
