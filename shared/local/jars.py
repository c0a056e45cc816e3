"""The broker's jars: fetched once into the user's cache, checked against pinned sums before every run.

``kafka-<version>.sha256`` is the lock: one line a jar, its SHA-256 and its path in a Maven repository, in class path
order (``sha256sum -c`` reads it too). ``python -m shared.local.jars VERSION`` prints such a lock for another version.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

from shared.local.process import StartFailed
from shared.local.progress import Progress, Stage, Watch, unwatched

__all__ = ["KAFKA_VERSION", "LOCK_FILE", "Jar", "cache_dir", "fetch", "read_lock"]

KAFKA_VERSION = "4.3.1"
LOCK_FILE = Path(__file__).with_name(f"kafka-{KAFKA_VERSION}.sha256")
ATTEMPTS = 3
DOWNLOADS_AT_ONCE = 6

# The broker logs through slf4j, whose binding its Maven coordinates leave to the distribution. Resolved apart: together
# with Kafka its version management would choose other clients than the broker's own.
BROKER = "org.apache.kafka:kafka_2.13:{version}"
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar: its SHA-256 in hex and its path in a Maven repository."""

    sha256: str
    path: PurePosixPath

    @property
    def coordinate(self) -> tuple[str, str, str]:
        """Group, artifact and version."""
        *group, artifact, version, _ = self.path.parts
        return ".".join(group), artifact, version


def read_lock(lock_file: Path = LOCK_FILE) -> list[Jar]:
    """The pinned jars in class path order."""
    pairs = (line.split() for line in lock_file.read_text().splitlines() if line.strip())
    return [Jar(sha256, PurePosixPath(path)) for sha256, path in pairs]


def fetch(
    jars: Sequence[Jar], cache: Path, watch: Watch = unwatched, download: Callable[[Jar, Path], Path] | None = None
) -> list[Path]:
    """The jars as files in ``cache``, every one equal to its pinned sum; what is missing is downloaded.

    Raises StartFailed if a jar cannot be had or differs; then no file of it is left where it could be run.
    """
    cache.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in jars if not (cache / jar.path.name).exists()]
    if missing:
        _download_all(missing, cache, watch, download or _download)
    files = [cache / jar.path.name for jar in jars]
    for jar, file in zip(jars, files, strict=True):
        _check(jar, file)
    return files


def cache_dir() -> Path:
    """Where fetched things are kept for the next start: XDG_CACHE_HOME, ~/.cache or the temporary directory."""
    last_resort = Path(tempfile.gettempdir()) / f"houfu-cache-{os.getuid()}"
    for base in (os.environ.get("XDG_CACHE_HOME", ""), str(_home() / ".cache")):
        if os.path.isabs(base) and _writable(Path(base) / "houfu"):
            return Path(base) / "houfu"
    if not _writable(last_resort) or last_resort.stat().st_uid != os.getuid():
        raise StartFailed(f"no directory to keep the broker's jars in: set XDG_CACHE_HOME ({last_resort} is not ours)")
    return last_resort


def _home() -> Path:
    """The user's home, also where HOME is empty; a relative path for a user who has none."""
    try:
        return Path(os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path()


def _writable(directory: Path) -> bool:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK)


def _download_all(jars: Sequence[Jar], cache: Path, watch: Watch, download: Callable[[Jar, Path], Path]) -> None:
    """Into a directory of its own first: a download cut short, or one of another start, must not be taken for a jar."""
    with (
        _trusting_the_machine(),
        tempfile.TemporaryDirectory(prefix=".fetching-", dir=cache) as staging,
        ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool,
    ):
        arriving = pool.map(lambda jar: (jar, download(jar, Path(staging))), jars)
        watch(Progress("kafka", Stage.FETCHING, "jars", 0, len(jars)))
        for done, (jar, file) in enumerate(arriving, start=1):
            _check(jar, file)
            file.replace(cache / jar.path.name)
            watch(Progress("kafka", Stage.FETCHING, jar.path.name, done, len(jars)))


def _download(jar: Jar, staging: Path) -> Path:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            group, artifact, version = jar.coordinate
            return Path(_maven(staging).project(group, artifact).at_version(version).artifact().resolve())
        except Exception as error:  # jgo lets through what its HTTP client and its Maven model raise
            (staging / jar.path).unlink(missing_ok=True)
            if attempt == ATTEMPTS:
                raise StartFailed(
                    f"cannot fetch {jar.path.name}, needed once for the embedded Kafka: {error}"
                ) from error
            time.sleep(attempt)
    raise AssertionError("unreachable")


def _maven(repository: Path) -> MavenContext:
    """jgo's pure-Python resolver with the repositories this machine's jgo settings name."""
    try:
        configured = GlobalSettings.load().repositories
    except RuntimeError:  # a user without a home has no settings
        configured = {}
    return MavenContext(repo_cache=repository, remote_repos={"central": MAVEN_CENTRAL_URL} | configured, timeout=30)


@contextmanager
def _trusting_the_machine() -> Iterator[None]:
    """Meanwhile jgo's HTTP client trusts whom pip and the system trust, where it was not told otherwise."""
    told = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    candidates = (os.environ.get("PIP_CERT"), ssl.get_default_verify_paths().cafile)
    bundle = next((file for file in candidates if file and os.path.isfile(file)), None)
    if told or bundle is None:
        yield
        return
    os.environ["REQUESTS_CA_BUNDLE"] = bundle
    try:
        yield
    finally:
        del os.environ["REQUESTS_CA_BUNDLE"]


def _check(jar: Jar, file: Path) -> None:
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != jar.sha256:
        raise StartFailed(
            f"{file} is not the jar that was pinned (SHA-256 {found[:12]}…, expected {jar.sha256[:12]}…); "
            "nothing was run. Delete the file to fetch it again."
        )


def _print_lock(version: str) -> None:
    """Resolve Kafka of ``version`` as Maven would and print the lock of what came."""
    with _trusting_the_machine(), tempfile.TemporaryDirectory() as staging:
        maven = _maven(Path(staging))
        broker, below = maven.resolver.resolve([maven.create_dependency(BROKER.format(version=version))])
        needed = [other for other in below if other.scope in {"compile", "runtime"}]
        for dependency in [*broker, *needed, maven.create_dependency(LOG_BINDING)]:
            file = Path(dependency.artifact.resolve())
            sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
            sys.stdout.write(f"{sha256}  {file.relative_to(staging).as_posix()}\n")


if __name__ == "__main__":
    _print_lock(sys.argv[1])
