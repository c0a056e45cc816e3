"""The tables say what the classes say: columns, states, live rows."""

import re
from importlib.resources import files
from typing import get_args

import pytest
from billing_stories import after_accepting
from pydantic import TypeAdapter

from services.billing.state import (
    STAGES,
    Bill,
    BillStatus,
    Book,
    LedgerAccount,
    Plan,
    PlanStatus,
    Posting,
    Repayment,
    RepaymentStatus,
)
from shared.contracts.billing import BillKind
from shared.contracts.fields import Product
from shared.contracts.policy import RefundPolicy
from shared.drivers.rows import columns

SQL = (files("services.billing.migrations") / "billing_0001.py").read_text()


def table(name: str) -> str:
    """The text between the parentheses of a CREATE TABLE."""
    found = re.search(rf"CREATE TABLE {name} \((.*?)\n        \)", SQL, re.DOTALL)
    assert found is not None
    return found[1]


def listed(text: str, column: str) -> list[str]:
    """What a CHECK allows a column to be."""
    found = re.search(rf"{column} IN \((.*?)\)", text, re.DOTALL)
    assert found is not None
    return re.findall(r"'(\w+)'", found[1])


@pytest.mark.parametrize("cls", [Book, Plan, Bill, Repayment, Posting])
def test_every_field_has_a_column_of_its_type(cls: type) -> None:
    text = table(cls.TABLE)
    for column in columns(cls):
        declared = re.search(rf"^ +{column.name} +{column.type}\b(.*)$", text, re.MULTILINE)
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
        ("journal", "account", list(LedgerAccount)),
    ],
)
def test_every_state_a_row_may_have_is_allowed_and_no_other(name: str, column: str, values: list[str]) -> None:
    assert listed(table(name), column) == values


@pytest.mark.parametrize("cls", [Plan, Bill, Repayment])
def test_the_partial_index_holds_the_live_rows(cls: type) -> None:
    index = re.search(rf"CREATE INDEX {cls.TABLE}_live ON {cls.TABLE} \(buyer_id\) WHERE (.*);", SQL)
    assert index is not None
    assert set(listed(index[1], cls.LIVE.column)) == cls.LIVE.values


def test_rows_with_structures_come_back_as_they_were() -> None:
    for row in after_accepting().until("03-19 14:00").given.rows:
        adapter = TypeAdapter(type(row))
        assert adapter.validate_json(adapter.dump_json(row)) == row
