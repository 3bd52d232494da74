"""Intent in PostgreSQL: schema `rollout`, read and written by rollout alone."""
