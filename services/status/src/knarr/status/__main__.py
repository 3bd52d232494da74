"""`python -m knarr.status`."""

from knarr.status.main import main

raise SystemExit(main())
