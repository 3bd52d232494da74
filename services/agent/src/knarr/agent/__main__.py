"""`python -m knarr.agent`: one agent, set up from the environment (see settings.py)."""

import sys

from knarr.agent.thrift import leave_out

leave_out()

from knarr.agent.main import serve_one  # noqa: E402 - after leave_out

if __name__ == "__main__":
    sys.exit(serve_one())
