"""The read model in PostgreSQL: schema `status`, owned by the role of KNARR_DATABASE_DSN; no other service reads it."""
