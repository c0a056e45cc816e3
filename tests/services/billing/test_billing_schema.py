"""The tables say what the classes say: columns, states, live rows."""

import re
from importlib.resources import files
from typing import get_args

import pytest
from billing_stories import after_accepting, approved, notice, opened
from pydantic import TypeAdapter

from services.billing.state import (
    STAGES,
    Bill,
    BillStatus,
    Book,
    Evidence,
    Extension,
    ExtensionStatus,
    JournalFact,
    LedgerAccount,
    Plan,
    PlanStatus,
    Posting,
    Refund,
    Repayment,
    RepaymentStatus,
    Reversal,
)
from shared.contracts.billing import BillKind, RefundCause
from shared.contracts.fields import Product
from shared.contracts.policy import Approver, RefundPolicy
from shared.drivers.rows import columns

REVISIONS = ("billing_0001", "billing_0002", "billing_0004")
SQL = "".join((files("services.billing.migrations") / f"{name}.py").read_text() for name in REVISIONS)


def table(name: str) -> str:
    """What stands between the parentheses of a CREATE TABLE, and what was added to it later."""
    found = re.search(rf"CREATE TABLE {name} \((.*?)\n        \)", SQL, re.DOTALL)
    assert found is not None
    return "\n".join([found[1], *re.findall(rf"ALTER TABLE {name}\n(.*?);", SQL, re.DOTALL)])


def listed(text: str, column: str) -> list[str]:
    """What a CHECK allows a column to be."""
    found = re.findall(rf"(?:CHECK \(|^){column} IN \((.*?)\)", text, re.DOTALL)
    assert found
    return re.findall(r"'(\w+)'", found[-1])


@pytest.mark.parametrize("cls", [Book, Plan, Bill, Extension, Repayment, Reversal, Refund, Evidence, Posting])
def test_every_field_has_a_column_of_its_type(cls: type) -> None:
    text = table(cls.TABLE)
    for column in columns(cls):
        declared = re.search(rf"^ +(?:ADD COLUMN )?{column.name} +{column.type}\b(.*)$", text, re.MULTILINE)
        assert declared is not None, column.name
        assert column.nullable is ("NOT NULL" not in declared[1] and "PRIMARY KEY" not in declared[1]), column.name


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("plan", "status", list(PlanStatus)),
        ("plan", "product", list(get_args(Product))),
        ("plan", "refund_policy", list(get_args(RefundPolicy))),
        ("bill", "status", list(BillStatus)),
        ("bill", "kind", list(get_args(BillKind))),
        ("bill", "stage", list(STAGES)),
        ("repayment", "status", list(RepaymentStatus)),
        ("refund", "cause", list(get_args(RefundCause))),
        ("extension", "status", list(ExtensionStatus)),
        ("extension", "approver", list(get_args(Approver))),
        ("repayment", "mode", ["MANUAL", "AUTO", "EXTERNAL"]),
        ("journal", "account", list(LedgerAccount)),
        ("journal", "fact", list(get_args(JournalFact))),
    ],
)
def test_every_state_a_row_may_have_is_allowed_and_no_other(name: str, column: str, values: list[str]) -> None:
    assert listed(table(name), column) == values


@pytest.mark.parametrize("cls", [Plan, Bill, Extension, Repayment])
def test_the_partial_index_holds_the_live_rows(cls: type) -> None:
    index = re.search(rf"CREATE INDEX {cls.TABLE}_live ON {cls.TABLE} \(buyer_id\) WHERE (.*);", SQL)
    assert index is not None
    assert set(listed(index[1], cls.LIVE.column)) == cls.LIVE.values


def test_rows_with_structures_come_back_as_they_were() -> None:
    story = after_accepting().then(opened(), at="03-15 10:00").then(approved(500), at="03-16 10:00")
    story = story.then(notice("03-16 10:01"), at="03-16 10:01")
    for row in story.until("03-19 14:00").given.rows:
        adapter = TypeAdapter(type(row))
        assert adapter.validate_json(adapter.dump_json(row)) == row
