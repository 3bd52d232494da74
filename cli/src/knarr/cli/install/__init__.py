"""An evaluation install on this machine: keys, broker, database, services and agents (`knarr up`)."""
