"""`python -m knarr.agent`: one agent, set up from the environment (see settings.py)."""

import sys

from knarr.agent.main import serve_one

if __name__ == "__main__":
    sys.exit(serve_one())
