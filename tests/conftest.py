"""Fixtures for every room of the tests. Imports of the product stay inside them, so that each room stands alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.laws import figures
from tests.servers import CHOICES, choose, whereabouts

if TYPE_CHECKING:
    from tests.servers import Pair

BEGAN = pytest.StashKey[float]()

LAWS = "tests/laws/"
"""How the ids of the laws begin."""


def pytest_addoption(parser: pytest.Parser) -> None:
    where = "where Kafka and PostgreSQL run (auto: in containers if an engine answers, else embedded)"
    parser.addoption("--servers", choices=CHOICES, default="auto", help=where)
    parser.addoption("--chaos", action="store_true", help="try the laws for long: a hundred kills, ten minutes of load")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The laws take longest, so they come first."""
    items.sort(key=lambda item: not item.nodeid.startswith(LAWS))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Side by side run whole modules, and the laws as one: they share a running system.

    Not by groups (``--dist loadgroup``): pytest-xdist 3.8 marks them where pytest 9.2 does not look, and says nothing.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByModule(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return LAWS if nodeid.startswith(LAWS) else nodeid.partition("::")[0]

    return ByModule(config, log)


def pytest_report_header(config: pytest.Config) -> str:
    """Say where the servers will run."""
    return f"Kafka and PostgreSQL: {whereabouts(config.getoption('servers'))}"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[BEGAN] = time.time()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what the laws measured, if they ran."""
    if found := figures.kept_since(config.rootpath, config.stash[BEGAN]):
        terminalreporter.section("what the laws measured")
        for line in found.lines():
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Kafka and PostgreSQL, one pair for the whole session, started by the first test that asks."""
    from shared.operations.house import service_names

    try:
        pair = choose(pytestconfig.getoption("servers"), tmp_path_factory.mktemp("servers"), service_names())
    except LookupError as lack:
        pytest.fail(f"the servers cannot run in containers: {lack}", pytrace=False)
    with pair as started:
        yield started
