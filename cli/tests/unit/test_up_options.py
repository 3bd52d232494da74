"""What `knarr up` refuses before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from knarr.cli.commands.up import up


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--simulate", "-1"), "Invalid value for '--simulate'"),
        (("--poll", "0"), "Invalid value for '--poll'"),
        (("--state", "a-file/state"), "Invalid value for --state: the folder cannot be made"),
    ],
)
def test_wrong_options_are_usage_errors(tmp_path: Path, options: tuple[str, str], said: str) -> None:
    (tmp_path / "a-file").write_text("")
    mask = os.umask(0o022)
    try:
        values = (options[0], str(tmp_path / options[1]) if options[0] == "--state" else options[1])
        done = CliRunner().invoke(up, ["--fleet", str(tmp_path), "--simulate", "1", *values])
    finally:
        os.umask(mask)
    assert done.exit_code == 2
    assert said in done.output
