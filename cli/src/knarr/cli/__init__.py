"""The `knarr` command: a composition root over the services and the local servers."""
