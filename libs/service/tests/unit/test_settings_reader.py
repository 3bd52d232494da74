"""Settings: every mistake at once, secrets as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from knarr.pipeline.errors import Rejected
from knarr.service.settings import Reader


def test_all_mistakes_are_told_at_once() -> None:
    reader = Reader({"PORT": "many", "FLAG": "perhaps", "KEY": "/nowhere"})
    reader.text("NAME")
    reader.whole("PORT")
    reader.flag("FLAG")
    reader.key("KEY")
    reader.mistake("two of them exclude each other")
    with pytest.raises(Rejected, match="KNR6001") as refused:
        reader.done()
    for part in ("NAME is not set", "PORT", "FLAG", "KEY", "exclude each other"):
        assert part in refused.value.message


def test_values_and_defaults() -> None:
    reader = Reader({"URLS": "a, b,", "SECONDS": "1.5", "ON": "yes", "EMPTY": ""})
    assert reader.words("URLS") == ("a", "b")
    assert reader.number("SECONDS") == 1.5
    assert reader.flag("ON") is True
    assert reader.text("EMPTY", "default") == "default"
    assert reader.whole("MISSING", 3) == 3
    reader.done()


@pytest.mark.parametrize(
    ("content", "good"), [(bytes(32), True), (bytes(31) + b"\n", True), (bytes(33), False), (b"", False)]
)
def test_a_key_is_32_raw_bytes_whatever_they_are(tmp_path: Path, content: bytes, good: bool) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    reader = Reader({"KEY": str(file)})
    found = reader.key("KEY")
    if good:
        assert found == content
        reader.done()
        return
    with pytest.raises(Rejected, match="KNR6001"):
        reader.done()


def test_a_secret_loses_only_its_final_newline(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"word\n")
    assert Reader({"SECRET": str(file)}).secret("SECRET") == b"word"
