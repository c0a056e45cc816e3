"""Proof that a buyer was reminded: kept by due date for the day a late fee must be justified (B-F5)."""

from itertools import permutations

import pytest
from billing_stories import BUYER, Story, after_accepting, local, notice

from services.billing.state import Evidence, Reminder


def reminders(story: Story) -> tuple[Reminder, ...]:
    return story.row(Evidence, "b:o-1").reminders


def test_b_f_5_the_first_reminder_of_each_due_date_is_kept() -> None:
    told = [notice("03-16 09:01"), notice("03-18 09:01"), notice("03-25 09:01", due_version=2)]
    for order in permutations(told):
        story = Story.of_a_buyer()
        for one in order:
            story = story.then(one, at="03-26 10:00")
        assert reminders(story) == (Reminder(1, local("03-16 09:01")), Reminder(2, local("03-25 09:01")))


@pytest.mark.parametrize("channel", ["SMS", "EMAIL", "PUSH"])
def test_b_f_5_these_channels_prove_something(channel: str) -> None:
    story = after_accepting().then(notice("03-16 09:01", channel=channel), at="03-16 09:01")
    assert story.row(Evidence, "b:o-1") == Evidence(BUYER, "b:o-1", (Reminder(1, local("03-16 09:01")),))


@pytest.mark.parametrize(
    "other",
    [
        notice("03-16 09:01", channel="IN_APP"),
        notice("03-16 09:01", channel="PHONE"),
        notice("03-16 09:01", kind="OVERDUE"),
        notice("03-16 09:01", None, None, kind="ORDER_STATUS"),
        notice("03-16 09:01", None),
        notice("03-16 09:01", due_version=None),
    ],
)
def test_b_f_5_other_notices_prove_nothing(other: object) -> None:
    assert after_accepting().given.when(other, now=local("03-16 09:01")).yields == []


def test_law_4_evidence_read_again_changes_nothing() -> None:
    told = [notice("03-16 09:01"), notice("03-18 09:01")]
    story = after_accepting()
    for one in told:
        story = story.then(one, at="03-18 10:00")
    for one in told:
        assert story.given.when(one, now=local("03-18 10:00")).yields == []


def test_proof_is_kept_even_if_it_comes_before_its_bill() -> None:
    assert reminders(Story.of_a_buyer().then(notice("03-16 09:01"), at="03-16 09:01")) == (
        Reminder(1, local("03-16 09:01")),
    )
