"""A recorded process is touched only while it is still that process."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from knarr.local.leftover import ProcessRecord, identify, is_alive, read_record, stop_leftover, write_record


def _sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"])


def _stubborn() -> subprocess.Popen[bytes]:
    """A process that ignores SIGTERM; ready once it has printed a line."""
    child = subprocess.Popen(["sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    return child


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = ProcessRecord(pid=12, started="boot:345")
    write_record(tmp_path / "x.pid", record)
    assert read_record(tmp_path / "x.pid") == record


def test_a_missing_or_garbled_record_is_none(tmp_path: Path) -> None:
    assert read_record(tmp_path / "missing.pid") is None
    for text in ("", "{", "[]", '{"pid": "x", "started": 1}', '{"pid": 1}'):
        (tmp_path / "bad.pid").write_text(text)
        assert read_record(tmp_path / "bad.pid") is None


def test_a_later_process_with_the_same_pid_is_another_one() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert is_alive(me)
    assert not is_alive(ProcessRecord(pid=me.pid, started=me.started + "0"))


def test_an_ended_process_is_gone_even_before_it_is_reaped() -> None:
    child = _sleeper()
    record = identify(child.pid)
    assert record is not None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(record)
    child.wait(10)


def test_a_leftover_is_stopped_and_its_record_removed(tmp_path: Path) -> None:
    for child in (_sleeper(), _stubborn()):
        record = identify(child.pid)
        assert record is not None
        write_record(tmp_path / "x.pid", record)
        assert stop_leftover(tmp_path / "x.pid", polite=signal.SIGTERM, grace_seconds=0.3)
        assert child.wait(10) < 0
        assert not (tmp_path / "x.pid").exists()


def test_a_bystander_with_the_recorded_pid_lives_on(tmp_path: Path) -> None:
    bystander = _sleeper()
    write_record(tmp_path / "x.pid", ProcessRecord(pid=bystander.pid, started="another time"))
    assert not stop_leftover(tmp_path / "x.pid", polite=signal.SIGTERM)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait(10)
