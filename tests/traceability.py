"""What the tests prove: each requirement, rule and worked example beside the tests that state it.

``python -m tests.traceability`` writes ``docs/traceability.md``; with ``--check`` it writes nothing and fails where an
id has no test, a test states an id that does not exist, or the page is out of date. The ids and their meaning stand in
``tests/requirements``, a file for each service and one for what they share. Tests are read, never imported: the check
needs no server and no service. A test states what it proves

- in its name, one id first: ``test_b_f_5_…``, ``test_bil_10_…``, ``test_example_3_…``;
- in its docstring, as its first words: full ids, separated by commas, then a colon or a full stop: ``BIL-10, B-F5: …``.

An example is its folder's service's own; another's is named: ``test_refunds_example_6_…``, ``Refunds example 6: …``.
A chapter such as B-F may stand there too; it states none of its rules. Ids elsewhere, in prose, in the docstring of a
module or of a function that is no test, state nothing; neither does a test that is skipped or expected to fail.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["Catalogue", "Proof", "catalogues", "complaints", "page", "proofs"]

ROOT = Path(__file__).parents[1]
PAGE = PurePosixPath("docs/traceability.md")

Test = ast.FunctionDef | ast.AsyncFunctionDef

CODE = r"[A-Z]+-[A-Z]?[0-9]+|[A-Z]-[A-Z](?![A-Za-z0-9])"
EXAMPLE = r"(?:[A-Za-z]+ ){0,2}[Ee]xample [0-9]+"
CHAPTER = re.compile("[A-Z]-[A-Z]")
HEAD = re.compile(rf"((?:{CODE}|{EXAMPLE})(?:,\s(?:{CODE}|{EXAMPLE}))*)(?:[:.]\s|[:.]?\Z)")
NAME = re.compile(r"test_((?:[a-z]+_){0,2}example_[0-9]+|[a-z]+_(?:[a-z]_)?[0-9]+|[a-z]_[a-z])(?![a-z0-9])")

_INTRODUCTION = """\
# What the tests prove

Generated from `tests/requirements` and the names and docstrings of the tests by `make docs`; do not edit.

Each requirement, rule and worked example has an id; beside it stand the tests that state it. `make check` fails where
an id has none. How a test states what it proves: [CONTRIBUTING.md](../CONTRIBUTING.md#tests)."""

_MACHINES = """\
## State machines

A state machine is a table beside its row. Its tests read the table and try its triggers in its states: what it allows
leads where it says, what it does not is refused."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The ids of one service, or of what the services share, with their meaning, by group."""

    title: str
    families: tuple[str, ...]
    """How ids begin that are all listed here."""
    groups: Mapping[str, Mapping[str, str]]

    @property
    def ids(self) -> list[str]:
        return [one for group in self.groups.values() for one in group]

    def knows(self, stated: str) -> bool:
        """Whether an id is one of these, or would have to be."""
        return stated in self.ids or (stated.startswith(self.families) and not CHAPTER.fullmatch(stated))


@dataclass(frozen=True, slots=True)
class Proof:
    """A test, and the ids it states."""

    file: PurePosixPath
    name: str
    states: tuple[str, ...]
    broken: str | None = None
    """The id with which its docstring begins, where no list of ids and a colon follow."""

    def __str__(self) -> str:
        return f"{self.file}::{self.name}"


def catalogues(root: Path = ROOT) -> list[Catalogue]:
    """Every list of ids, by the name of its file."""
    return [_catalogue(path) for path in sorted((root / "tests" / "requirements").glob("*.toml"))]


def _catalogue(path: Path) -> Catalogue:
    read = tomllib.loads(path.read_text("utf-8"))
    return Catalogue(read["title"], tuple(read.get("families", ())), read["ids"])


def proofs(root: Path = ROOT) -> list[Proof]:
    """Every test that runs, in the order of files and lines."""
    services = {path.parent.name for path in (root / "services").glob("*/state.py")}
    return [
        proof
        for path in sorted((root / "tests").rglob("test_*.py"))
        for proof in _proofs_of(PurePosixPath(path.relative_to(root)), path.read_text("utf-8"), services)
    ]


def _proofs_of(file: PurePosixPath, text: str, services: set[str]) -> Iterator[Proof]:
    own = file.parts[2] if file.parts[:2] == ("tests", "services") else None
    for name, test in _tests(ast.parse(text, str(file))):
        docstring = ast.get_docstring(test) or ""
        head = HEAD.match(docstring)
        stated = [_id_of(test.name), *(re.split(r",\s", head[1]) if head else ())]
        states = tuple(dict.fromkeys(_whole(one, own, services) for one in stated if one))
        broken = None if head else re.match(CODE, docstring)
        yield Proof(file, name, states, broken[0] if broken else None)


def _tests(module: ast.Module) -> Iterator[tuple[str, Test]]:
    """The tests of a module and of its classes, that run."""
    places = [("", module.body), *((f"{one.name}::", one.body) for one in module.body if isinstance(one, ast.ClassDef))]
    for place, body in places:
        for one in body:
            if isinstance(one, Test) and one.name.startswith("test_") and _runs(one):
                yield place + one.name, one


def _runs(test: Test) -> bool:
    """Whether its outcome says something: it is neither skipped nor expected to fail."""
    marks = [mark.func if isinstance(mark, ast.Call) else mark for mark in test.decorator_list]
    return not any(isinstance(mark, ast.Attribute) and mark.attr in ("skip", "xfail") for mark in marks)


def _id_of(name: str) -> str | None:
    """The id at the beginning of a test's name: ``test_b_f_5_the_gate`` states B-F5."""
    if (found := NAME.match(name)) is None:
        return None
    first, *rest = found[1].split("_")
    if "example" in found[1]:
        return " ".join([first, *rest])
    return f"{first}-{''.join(rest)}".upper()


def _whole(stated: str, own: str | None, services: set[str]) -> str:
    """An id under which it is listed: an example is that of a service."""
    if "xample" not in stated:
        return stated
    words = stated.lower()
    return words if words.split()[0] in services or own is None else f"{own} {words}"


def complaints(root: Path = ROOT) -> list[str]:
    """What is wrong, a line each: ids without a test or listed twice, tests that state what does not exist."""
    lists, tests = catalogues(root), proofs(root)
    listed = Counter(one for each in lists for one in each.ids)
    return [
        *(f"{one} is listed {count} times below tests/requirements" for one, count in listed.items() if count > 1),
        *(complaint for test in tests for complaint in _misstated(test, lists)),
        *_unproved(lists, {one for test in tests for one in test.states}),
        *(
            f"{machine} of services/{service}/state.py has no test below tests/services/{service}"
            for service, machine, files in _machines(root)
            if not files
        ),
    ]


def _misstated(test: Proof, lists: Sequence[Catalogue]) -> Iterator[str]:
    for one in test.states:
        ours = one.startswith("example ") or any(each.knows(one) for each in lists)
        if ours and not any(one in each.ids for each in lists):
            yield f"{test} states {one}, which is not listed below tests/requirements"
    if test.broken and any(each.knows(test.broken) for each in lists):
        yield f"{test} begins with {test.broken} but not with a list of ids, each in full: 'BIL-10, B-F5: …'"


def _unproved(lists: Sequence[Catalogue], stated: set[str]) -> Iterator[str]:
    for each in lists:
        for group in each.groups.values():
            yield from (f"{one} has no test: {meaning}" for one, meaning in group.items() if one not in stated)


def page(root: Path = ROOT) -> str:
    """The page, in Markdown."""
    tests = proofs(root)
    parts = [_INTRODUCTION, *(part for one in catalogues(root) for part in _chapter(one, tests))]
    return "\n\n".join([*parts, _MACHINES, _table_of_machines(root)]) + "\n"


def _chapter(catalogue: Catalogue, tests: Sequence[Proof]) -> Iterator[str]:
    yield f"## {catalogue.title}"
    for title, group in catalogue.groups.items():
        rows = (f"| {one} | {meaning} | {_cell(one, tests)} |" for one, meaning in group.items())
        yield f"### {title}"
        yield "\n".join(["| Id | Meaning | Tests |", "|---|---|---|", *rows])


def _cell(stated: str, tests: Sequence[Proof]) -> str:
    found = [f"[{test.file.name}::{test.name}](../{test.file})" for test in tests if stated in test.states]
    return "<br>".join(found) or "**none**"


def _table_of_machines(root: Path) -> str:
    rows = (
        f"| [{machine}](../services/{service}/state.py) | {service} | "
        f"{'<br>'.join(f'[{file.name}](../{file})' for file in files) or '**none**'} |"
        for service, machine, files in _machines(root)
    )
    return "\n".join(["| Machine | Service | Tests |", "|---|---|---|", *rows])


def _machines(root: Path) -> Iterator[tuple[str, str, list[PurePosixPath]]]:
    """Every machine of every service, with the files of tests that read its table."""
    for state in sorted((root / "services").glob("*/state.py")):
        service = state.parent.name
        tests = sorted((root / "tests" / "services" / service).rglob("test_*.py"))
        read = {path: set(re.findall(r"\b[A-Z]+_MACHINE\b", path.read_text("utf-8"))) for path in tests}
        for machine in re.findall(r"^([A-Z]+_MACHINE)\b", state.read_text("utf-8"), re.MULTILINE):
            yield service, machine, [PurePosixPath(path.relative_to(root)) for path in tests if machine in read[path]]


def main(words: Sequence[str] | None = None, root: Path = ROOT) -> None:
    """Write the page; with ``--check``, only say what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.traceability", description="What the tests prove.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where an id has no test")
    if not parser.parse_args(words).check:
        (root / PAGE).write_text(page(root), "utf-8")
        return
    wrong = complaints(root)
    if not (root / PAGE).exists() or (root / PAGE).read_text("utf-8") != page(root):
        wrong.append(f"{PAGE} is out of date: run 'make docs'")
    if wrong:
        sys.exit("\n".join(["What the tests prove:", *(f"  {one}" for one in wrong)]))


if __name__ == "__main__":
    main()
