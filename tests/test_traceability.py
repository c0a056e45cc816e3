"""The table of what the tests prove: which words of a test are a statement, and what the check complains of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.traceability import PAGE, Catalogue, catalogues, complaints, main, page, proofs

BILLING = """
title = "billing"
families = ["BIL-", "B-", "billing example", "billing ledger example"]

[ids."Rules"]
BIL-10 = "Late fees"
B-F5 = "The gate"
B-E = "A later due date"

[ids."Examples"]
"billing example 3" = "Late"
"billing ledger example 5" = "Refund after fees"
"""
PROVED = {
    "test_bil_10_a_late_bill_costs": "",
    "test_the_gate": "B-F5, B-E: without proof no fee.",
    "test_example_3_soft_declines": "Ledger example 5: as it is posted.",
}
"""The names and docstrings of tests that leave nothing unproved."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with one service, a list of its ids, and no test."""
    for folder in ("docs", "services/billing", "services/refunds", "tests/requirements"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "services" / "billing" / "state.py").write_text("BILL_MACHINE: Machine = {}\n", "utf-8")
    (tmp_path / "services" / "refunds" / "state.py").touch()
    (tmp_path / "tests" / "requirements" / "billing.toml").write_text(BILLING, "utf-8")
    return tmp_path


def write(
    tree: Path, name: str, docstring: str = "", above: str = "", file: str = "services/billing/test_bills.py"
) -> None:
    """Add a test to a file of tests."""
    path = tree / "tests" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as written:
        written.write(f'{above}\ndef {name}():\n    """{docstring}"""\n    assert BILL_MACHINE\n')


@pytest.fixture
def proved(tree: Path) -> Path:
    """The same with a test for everything."""
    for name, docstring in PROVED.items():
        write(tree, name, docstring)
    return tree


def stated(tree: Path) -> list[str]:
    return [one for proof in proofs(tree) for one in proof.states]


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("test_bil_10_a_late_bill_costs", ["BIL-10"]),
        ("test_b_f_5_the_gate", ["B-F5"]),
        ("test_b_e_once_for_a_bill", ["B-E"]),
        ("test_i_10_no_fee_without_evidence", ["I-10"]),
        ("test_example_3_soft_declines", ["billing example 3"]),
        ("test_ledger_example_5", ["billing ledger example 5"]),
        ("test_refunds_example_6_to_the_wallet", ["refunds example 6"]),
        ("test_what_an_example_shows", []),
        ("test_the_gate_of_b_f_5", []),
    ],
)
def test_a_name_states_the_id_it_begins_with(tree: Path, name: str, ids: list[str]) -> None:
    write(tree, name)
    assert stated(tree) == ids


@pytest.mark.parametrize(
    ("docstring", "ids"),
    [
        ("B-F5: the gate.", ["B-F5"]),
        ("BIL-10, B-F5, B-E: much at once.", ["BIL-10", "B-F5", "B-E"]),
        ("B-F5,\n    B-E: over two lines.", ["B-F5", "B-E"]),
        ("Example 3: late.", ["billing example 3"]),
        ("BIL-10, ledger example 5: posted.", ["BIL-10", "billing ledger example 5"]),
        ("Refunds example 6: to the wallet.", ["refunds example 6"]),
        ("B-F5. The gate.", ["B-F5"]),
        ("B-F5, B-E.", ["B-F5", "B-E"]),
        ("Unlike B-F5: no gate.", []),
        ("A gate (B-F5).", []),
        ("Example 3's bill, paid by hand.", []),
    ],
)
def test_a_docstring_states_the_ids_it_begins_with(tree: Path, docstring: str, ids: list[str]) -> None:
    write(tree, "test_something", docstring)
    assert stated(tree) == ids


def test_name_and_docstring_state_together_and_each_id_once(tree: Path) -> None:
    write(tree, "test_b_f_5_the_gate", "BIL-10, B-F5: without proof no fee.")
    assert stated(tree) == ["B-F5", "BIL-10"]


@pytest.mark.parametrize(
    "mark", ["@pytest.mark.skip", '@pytest.mark.skip(reason="")', "@pytest.mark.xfail(strict=True)"]
)
def test_a_test_that_says_nothing_states_nothing(tree: Path, mark: str) -> None:
    write(tree, "test_b_f_5_the_gate", above=mark)
    assert proofs(tree) == []


def test_only_tests_state_something(tree: Path) -> None:
    write(tree, "check_b_f_5", "B-F5: a part of a test.", above='"""B-F5: a module."""')
    write(tree, "test_b_f_5", file="services/billing/billing_stories.py")
    assert proofs(tree) == []


def test_a_test_of_a_class_is_named_with_it(tree: Path) -> None:
    path = tree / "tests" / "test_all.py"
    path.write_text('class TestGate:\n    async def test_it(self):\n        """B-F5: shut."""\n', "utf-8")
    (proof,) = proofs(tree)
    assert (str(proof), proof.states) == ("tests/test_all.py::TestGate::test_it", ("B-F5",))


def test_where_everything_is_proved_there_is_nothing_to_complain_of(proved: Path) -> None:
    assert complaints(proved) == []


def test_ids_and_machines_without_a_test_are_named(tree: Path) -> None:
    write(tree, "test_b_f_5_the_gate", file="journeys/test_late.py")
    assert complaints(tree) == [
        "BIL-10 has no test: Late fees",
        "B-E has no test: A later due date",
        "billing example 3 has no test: Late",
        "billing ledger example 5 has no test: Refund after fees",
        "BILL_MACHINE of services/billing/state.py has no test below tests/services/billing",
    ]


@pytest.mark.parametrize(
    ("name", "docstring", "stranger"),
    [
        ("test_b_f_9_a_rule_that_is_none", "", "B-F9"),
        ("test_bil_1_with_a_digit_too_few", "", "BIL-1"),
        ("test_example_33", "", "billing example 33"),
        ("test_something", "B-F5, B-F6: one too many.", "B-F6"),
    ],
)
def test_what_is_stated_and_not_listed_is_mistyped(proved: Path, name: str, docstring: str, stranger: str) -> None:
    write(proved, name, docstring)
    where = f"tests/services/billing/test_bills.py::{name}"
    assert complaints(proved) == [f"{where} states {stranger}, which is not listed below tests/requirements"]


def test_an_example_outside_a_services_folder_says_whose_it_is(proved: Path) -> None:
    write(proved, "test_billing_example_3_in_the_town", file="journeys/test_late.py")
    write(proved, "test_example_3_in_the_town", file="journeys/test_late.py")
    (complaint,) = complaints(proved)
    assert complaint.startswith(
        "tests/journeys/test_late.py::test_example_3_in_the_town states example 3, which is not"
    )


@pytest.mark.parametrize("docstring", ["B-F5 to F7: a range.", "B-F5, 7: a rest.", "B-F5 and B-E.", "B-F5 is kept."])
def test_a_docstring_that_begins_with_an_id_begins_with_a_list_of_ids(proved: Path, docstring: str) -> None:
    write(proved, "test_something", docstring)
    (complaint,) = complaints(proved)
    assert complaint.endswith("begins with B-F5 but not with a list of ids, each in full: 'BIL-10, B-F5: …'")


@pytest.mark.parametrize("docstring", ["R-R4, M-1: of a list still to come.", "UTF-8 is not meant: either."])
def test_ids_of_which_there_is_no_list_yet_are_let_pass(proved: Path, docstring: str) -> None:
    write(proved, "test_something", docstring)
    assert complaints(proved) == []


def test_a_chapter_may_be_named_and_proves_none_of_its_rules(proved: Path) -> None:
    write(proved, "test_b_f_the_whole_of_it", "B-F, 2.2: much.")
    write(proved, "test_something", "BIL-10, B-F: what a late bill costs.")
    assert complaints(proved) == []


def test_an_id_has_one_meaning(proved: Path) -> None:
    (proved / "tests" / "requirements" / "other.toml").write_text('title = "other"\n[ids.Rules]\nB-E = ""\n', "utf-8")
    assert complaints(proved) == ["B-E is listed 2 times below tests/requirements"]


def test_the_page_puts_the_tests_beside_what_they_prove(tree: Path) -> None:
    write(tree, "test_b_f_5_the_gate")
    write(tree, "test_no_proof", "B-F5: no fee.")
    path = "../tests/services/billing/test_bills.py"
    links = f"[test_bills.py::test_b_f_5_the_gate]({path})<br>[test_bills.py::test_no_proof]({path})"
    assert f"| B-F5 | The gate | {links} |\n| B-E | A later due date | **none** |" in page(tree)
    assert f"| [BILL_MACHINE](../services/billing/state.py) | billing | [test_bills.py]({path}) |" in page(tree)


def test_the_check_fails_where_an_id_has_no_test(tree: Path) -> None:
    main([], tree)
    with pytest.raises(SystemExit, match="B-F5 has no test: The gate"):
        main(["--check"], tree)


def test_the_check_fails_until_the_page_is_written_anew(proved: Path) -> None:
    with pytest.raises(SystemExit, match=f"{PAGE} is out of date: run 'make docs'"):
        main(["--check"], proved)
    main([], proved)
    main(["--check"], proved)
    write(proved, "test_b_f_5_once_more")
    with pytest.raises(SystemExit, match="out of date"):
        main(["--check"], proved)


@pytest.mark.parametrize("catalogue", catalogues(), ids=lambda one: one.title)
def test_every_id_of_this_repository_has_a_form_that_a_test_can_state(catalogue: Catalogue, tree: Path) -> None:
    for one in catalogue.ids:
        write(tree, f"test_{len(one)}", f"{one}: proved.", file="test_all.py")
    assert stated(tree) == catalogue.ids
    assert all(meaning for group in catalogue.groups.values() for meaning in group.values())
