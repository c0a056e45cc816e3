"""What the documents tell people to type exists, and what they point to is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic_settings import BaseSettings

from services.checkout.settings import CheckoutSettings
from services.notify.adapters.smtp import SmtpSettings
from shared.cli.main import app
from shared.integration.process import AdapterSettings
from shared.operations.settings import ServiceSettings
from shared.operations.tokens import TokenSettings

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *(ROOT / "docs" / name for name in ("architecture.md", "containers.md", "operations.md", "views.md")),
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
]
CALL = re.compile(r"(?:^|[|;&]|\$\(|\bdo\b)\s*((?:houfu|make)\b[^|;&)<>]*)", re.MULTILINE)
"""A call of ours, wherever in a line of shell it stands."""


def typed(document: Path) -> list[str]:
    """What a document's ``console`` blocks tell the reader to type: lines after ``$``, with those after ``>``."""
    entered: list[str] = []
    for block in re.findall(r"^```console\n(.*?)^```", document.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                entered.append(line[2:])
            elif line.startswith("> "):
                entered[-1] += "\n" + line[2:]
    return entered


ENTERED = [pytest.param(line, id=f"{one.stem}: {line.splitlines()[0]:.60}") for one in DOCUMENTS for line in typed(one)]


@pytest.mark.parametrize("line", ENTERED)
def test_what_a_reader_is_told_to_type_exists(line: str) -> None:
    calls = [shlex.split(call) for call in CALL.findall(line)]
    assert calls, "only houfu and make are typed in these blocks"
    for program, *words in calls:
        if program == "make":
            assert set(words) <= targets()
        else:
            follow(typer.main.get_command(app), words)


def targets() -> set[str]:
    """The targets of the Makefile that its help shows."""
    return set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def follow(command: Any, words: list[str]) -> None:
    """Walk down to the command that is meant; every option given to it must be one it has."""
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    assert not hasattr(command, "commands"), f"{command.name} has no {words[:1]}"
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def test_the_readme_shows_the_two_commands_and_the_tour() -> None:
    entered = [line.split()[:2] for line in typed(ROOT / "README.md")]
    assert entered[:2] == [["make", "demo"], ["make", "test"]]
    assert entered[-1] == ["houfu", "down"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.stem)
def test_what_a_document_points_to_is_there(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8"))
    files = [link.partition("#")[0] for link in links if "://" not in link]
    assert [link for link in files if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("settings", [ServiceSettings, TokenSettings, CheckoutSettings, AdapterSettings, SmtpSettings])
def test_the_operations_page_names_every_setting(settings: type[BaseSettings]) -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    prefix = settings.model_config.get("env_prefix", "")
    assert [name for field in settings.model_fields if (name := f"{prefix}{field}".upper()) not in page] == []


def test_every_decision_is_short_and_says_when_to_think_again() -> None:
    for decision in (ROOT / "docs" / "decisions").glob("*.md"):
        text = decision.read_text("utf-8")
        assert len(text.splitlines()) <= 40, decision.name
        for part in ("**Context.**", "**Decision.**", "**Consequence.**", "**Revisit when**"):
            assert part in text, decision.name
