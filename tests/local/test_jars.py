"""The broker's jars: nothing runs that is not what was pinned."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from shared.local.jars import Jar, cache_dir, fetch, read_lock
from shared.local.process import StartFailed
from shared.local.progress import Progress

CONTENT = b"a jar"
PINNED = Jar(hashlib.sha256(CONTENT).hexdigest(), PurePosixPath("org/example/thing/1.0/thing-1.0.jar"))


def deliver(content: bytes) -> Callable[[Jar, Path], Path]:
    def download(jar: Jar, staging: Path) -> Path:
        file = staging / jar.path.name
        file.write_bytes(content)
        return file

    return download


def refuse(jar: Jar, staging: Path) -> Path:
    raise AssertionError(f"{jar.path} was asked for again")


def test_the_lock_pins_the_broker_and_everything_it_needs() -> None:
    lock = read_lock()
    assert lock[0].coordinate == ("org.apache.kafka", "kafka_2.13", "4.3.1")
    assert {jar.coordinate[2] for jar in lock if jar.coordinate[0] == "org.apache.kafka"} == {"4.3.1"}
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in lock)
    assert len({jar.path.name for jar in lock}) == len(lock)


def test_a_jar_is_fetched_once(tmp_path: Path) -> None:
    steps: list[Progress] = []
    first = fetch([PINNED], tmp_path, steps.append, deliver(CONTENT))
    assert [file.read_bytes() for file in first] == [CONTENT]
    assert (steps[-1].done, steps[-1].total) == (1, 1)
    assert fetch([PINNED], tmp_path, download=refuse) == first


def test_a_jar_that_differs_from_its_sum_on_arrival_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"thing-1\.0\.jar is not the jar that was pinned .* nothing was run"):
        fetch([PINNED], tmp_path, download=deliver(b"something else"))
    assert list(tmp_path.iterdir()) == []


def test_a_jar_that_was_changed_in_the_cache_is_refused(tmp_path: Path) -> None:
    (file,) = fetch([PINNED], tmp_path, download=deliver(CONTENT))
    file.write_bytes(CONTENT + b"!")
    with pytest.raises(StartFailed, match="Delete the file to fetch it again"):
        fetch([PINNED], tmp_path, download=refuse)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CACHE_HOME": "{tmp}/cache"}, "cache/houfu"),
        ({"HOME": "{tmp}/home"}, "home/.cache/houfu"),
        ({"XDG_CACHE_HOME": "not/absolute", "HOME": "{tmp}/missing/home"}, "missing/home/.cache/houfu"),
        ({"HOME": "/dev/null", "TMPDIR": "{tmp}"}, "houfu-cache-{uid}"),
    ],
)
def test_the_cache_is_found_whatever_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name in ("XDG_CACHE_HOME", "HOME", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(tmp=tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert cache_dir() == tmp_path / expected.format(uid=os.getuid())
