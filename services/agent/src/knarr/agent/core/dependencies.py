"""Which apps an app waits for, and whether they wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from knarr.pipeline.names import AppName

Depends = Mapping[AppName, tuple[str, ...]]


def waits_for(app: AppName, depends_on: Depends, is_ready: Callable[[AppName], bool]) -> tuple[AppName, ...]:
    """The apps named in `dependsOn` that are not ready, in the order named."""
    return tuple(AppName(d) for d in depends_on.get(app, ()) if not is_ready(AppName(d)))


def circle(app: AppName, depends_on: Depends) -> tuple[AppName, ...]:
    """The circle that `app` is in, beginning with it; empty when there is none."""
    path: list[AppName] = []
    on_path: set[AppName] = set()
    done: set[AppName] = set()

    def follow(here: AppName) -> bool:
        if here == app and path:
            return True
        if here in on_path or here in done:
            return False
        path.append(here)
        on_path.add(here)
        for below in depends_on.get(here, ()):
            if follow(AppName(below)):
                return True
        path.pop()
        on_path.discard(here)
        done.add(here)
        return False

    return tuple(path) if follow(app) else ()
