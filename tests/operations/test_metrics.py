"""The catalogue keeps its own rules, and nothing is counted beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.operations import metrics
from shared.operations.meters import Meters, NotInCatalogue
from shared.operations.metrics import CATALOGUE, OTHER, SERIES_MAX, Kind, Metric, Of, Unit

FORBIDDEN_LABELS = {"key", "id", "buyer", "buyer_id", "merchant_id", "order_id", "message_id", "correlation_id"}

SUFFIXES = {Unit.SECONDS: "_seconds", Unit.RECORDS: "_records", Unit.ROWS: "_rows", Unit.KEYS: "_keys"}


CODE_OF_DEAD_LETTERS = ("contracts/envelope.py", "engine/intake.py", "engine/run.py")


@pytest.fixture
def meters() -> Meters:
    return Meters(Of.SERVICE, "till")


def families(meters: Meters) -> dict[str, str]:
    """The kind of every metric in an exposition, by name, as Prometheus itself reads it."""
    found = text_string_to_metric_families(meters.exposition().decode())
    return {one.name: one.type for one in found if one.name.startswith("houfu_")}


def test_a_name_is_declared_once_and_says_kind_and_unit() -> None:
    assert len({one.name for one in CATALOGUE}) == len(CATALOGUE) > 25
    for one in CATALOGUE:
        assert re.fullmatch(r"houfu_[a-z_]+", one.name)
        assert one.name.endswith("_total") is (one.kind is Kind.COUNTER), one.name
        assert one.kind is Kind.COUNTER or one.name.endswith(SUFFIXES.get(one.unit, "")), one.name
        assert bool(one.buckets) is (one.kind is Kind.HISTOGRAM), one.name
        assert list(one.buckets) == sorted(set(one.buckets)), one.name


def test_every_metric_says_what_it_means_and_what_to_do() -> None:
    for one in CATALOGUE:
        assert one.meaning.endswith("."), one.name
        assert one.remedy.endswith("."), one.name
        assert "|" not in one.meaning + one.remedy, one.name


def test_law_8_no_label_can_hold_whom_or_what_a_message_is_about() -> None:
    labels = {label.name for one in CATALOGUE for label in one.labels}
    assert labels
    assert not labels & FORBIDDEN_LABELS


@pytest.mark.parametrize("of", [Of.SERVICE, Of.ADAPTER])
def test_a_process_exposes_exactly_what_the_catalogue_has_for_it(of: Of) -> None:
    declared = {one.name.removesuffix("_total"): str(one.kind) for one in CATALOGUE if one.of in (of, Of.BOTH)}
    assert families(Meters(of, "x")) == declared


def test_the_process_itself_is_measured_too(meters: Meters) -> None:
    text = meters.exposition().decode()
    assert "\nprocess_resident_memory_bytes " in text
    assert "\npython_gc_collections_total{" in text


def test_what_is_not_in_the_catalogue_cannot_be_counted(meters: Meters) -> None:
    homemade = Metric("houfu_luck_total", Kind.COUNTER, Unit.TIMES, Of.BOTH, "Luck.", "Nothing.")
    with pytest.raises(NotInCatalogue, match="houfu_luck_total"):
        meters.count(homemade)
    with pytest.raises(NotInCatalogue, match="houfu_adapter_events_total is no metric of till"):
        meters.count(metrics.ADAPTER_EVENTS, "answered")


def test_labels_are_those_that_are_declared(meters: Meters) -> None:
    with pytest.raises(NotInCatalogue, match=r"has the labels \['route', 'status'\]"):
        meters.count(metrics.VIEW_REQUESTS, "/bills")


def test_counters_whose_labels_are_known_begin_at_nought_and_gauges_say_nothing_before_they_are_set(
    meters: Meters,
) -> None:
    text = meters.exposition().decode()
    assert 'houfu_turns_undone_total{reason="refused",service="till"} 0.0' in text
    assert 'houfu_messages_published_total{service="till"} 0.0' in text
    assert "houfu_parked_keys{" not in text
    meters.set(metrics.PARKED, to=2)
    assert 'houfu_parked_keys{service="till"} 2.0' in meters.exposition().decode()


def test_what_others_send_cannot_make_a_metric_grow_without_end(meters: Meters) -> None:
    for number in range(SERIES_MAX + 25):
        meters.count(metrics.HANDLED, f"houfu.other.type_{number}.v1")
    assert meters.value(metrics.HANDLED, f"houfu.other.type_{SERIES_MAX - 1}.v1") == 1
    assert meters.value(metrics.HANDLED, OTHER) == 25
    assert meters.exposition().count(b"houfu_messages_handled_total{") == SERIES_MAX + 1


def test_a_gauge_that_is_looked_up_at_a_scrape_shows_that_moment(meters: Meters) -> None:
    standing = iter([3, 1])
    meters.before_scrape(lambda: meters.set(metrics.LANES, to=next(standing)))
    meters.exposition()
    assert meters.value(metrics.LANES) == 3
    meters.exposition()
    assert meters.value(metrics.LANES) == 1


def test_every_reason_of_a_dead_letter_there_is_begins_at_nought_and_is_explained_to_operators() -> None:
    root = Path(metrics.__file__).parents[2]
    code = "".join((root / "shared" / path).read_text() for path in CODE_OF_DEAD_LETTERS)
    raised = set(re.findall(r'(?:EnvelopeInvalid|_Unreadable|_bury|_defect)\([^"\n]*"([A-Z_]+)"', code))
    raised |= set(re.findall(r'return "([A-Z_]+)"', code))
    assert raised == set(metrics.DEAD_LETTER_REASONS)
    table = (root / "docs" / "operations.md").read_text("utf-8").partition("## Dead letters")[2].partition("## ")[0]
    assert raised <= set(re.findall(r"`([A-Z_]+)`", table))


def test_every_metric_that_is_declared_is_used() -> None:
    """A declaration nobody counts would promise operators what never comes."""
    names = {name for name, one in vars(metrics).items() if isinstance(one, Metric)}
    shared = Path(metrics.__file__).parents[1]
    used = {name for path in shared.rglob("*.py") for name in re.findall(r"metrics\.([A-Z_]+)\b", path.read_text())}
    assert names <= used
