"""`python -m knarr.rollout`."""

from knarr.rollout.main import main

raise SystemExit(main())
