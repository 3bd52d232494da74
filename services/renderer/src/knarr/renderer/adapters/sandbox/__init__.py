"""A child process that reads only what it is given and reaches nobody: Landlock, seccomp, limits. Needs no root."""
