"""Fixtures for every room of the tests. Imports of the product stay inside them, so that each room stands alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.laws.figures import Figures
from tests.servers import CHOICES, choose, whereabouts

if TYPE_CHECKING:
    from tests.servers import Pair

FIGURES = pytest.StashKey[Figures]()
"""What the laws measured in this process and in those it started."""

LAWS = "tests/laws/"
"""How the ids of the laws begin."""


def pytest_addoption(parser: pytest.Parser) -> None:
    where = "where Kafka and PostgreSQL run (auto: in containers if an engine answers, else embedded)"
    parser.addoption("--servers", choices=CHOICES, default="auto", help=where)
    parser.addoption("--chaos", action="store_true", help="try the laws for long: a hundred kills, ten minutes of load")
    parser.addoption("--lives", type=int, default=1000, help="how many lives of a buyer billing is tried on")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The laws take longest, so they come first."""
    items.sort(key=lambda item: not item.nodeid.startswith(LAWS))


def pytest_report_header(config: pytest.Config) -> str:
    """Say where the servers will run."""
    return f"Kafka and PostgreSQL: {whereabouts(config.getoption('servers'))}"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = Figures()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what the laws measured to whoever started this process."""
    if (said := getattr(session.config, "workeroutput", None)) is not None:
        said["figures"] = session.config.stash[FIGURES].found


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what the laws measured in a process that has ended."""
    node.config.stash[FIGURES].add(getattr(node, "workeroutput", {}).get("figures", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what the laws measured, if they ran, and keep it."""
    if (figures := config.stash[FIGURES]).found:
        figures.keep(config.rootpath)
        terminalreporter.section("what the laws measured")
        for line in figures.lines():
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
