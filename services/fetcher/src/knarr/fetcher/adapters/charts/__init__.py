"""Helm repositories and OCI registries over HTTPS, and archives kept in the state folder."""
