"""The generated reference: true to the contracts and handlers, valid AsyncAPI, the same bytes every time."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from shared.contracts import billing, checkout
from shared.engine.service import Service
from shared.operations.applications import Application
from shared.operations.asyncapi import to_yaml
from shared.operations.metrics import CATALOGUE
from shared.operations.reference import IncompatibleChange, export, stale
from shared.operations.schemas import published_messages

SHAPE = json.loads((Path(__file__).parent / "asyncapi_shape.json").read_text("utf-8"))


def a_service() -> Service:
    service = Service("billing", rejected=billing.CommandRejected, emits=[billing.PlanOpened])

    @service.on(checkout.OrderAccepted)
    def open_plan(accepted: checkout.OrderAccepted) -> Iterator[billing.PlanOpened]:
        yield from ()

    return service


PROVIDER = Application.adapter(
    "sandbox-provider",
    "Answers every collection as its script says.",
    consumes={billing.CollectionRequested: "sandbox.collect"},
    sends=[billing.ReportCollection],
)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    export([a_service()], [PROVIDER], tmp_path)
    return tmp_path


@pytest.fixture
def asyncapi(written: Path) -> Any:
    return yaml.safe_load((written / "asyncapi.yaml").read_text("utf-8"))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "$ref":
                yield member
            else:
                yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def test_what_was_just_written_is_fresh(written: Path) -> None:
    assert stale([a_service()], [PROVIDER], written) == []


def test_a_changed_a_missing_and_a_forgotten_file_are_stale(written: Path) -> None:
    (written / "events.md").write_text("edited by hand", "utf-8")
    (written / "asyncapi.yaml").unlink()
    (written / "schemas" / "houfu.billing.no_such_thing.v1.json").write_text("{}", "utf-8")
    assert stale([a_service()], [PROVIDER], written) == [
        "asyncapi.yaml is missing",
        "events.md is out of date",
        "schemas/houfu.billing.no_such_thing.v1.json: its message is gone",
    ]


def test_a_published_schema_is_never_replaced_by_one_that_breaks_its_readers(written: Path) -> None:
    path = written / "schemas" / "houfu.billing.plan_opened.v1.json"
    published = json.loads(path.read_text("utf-8"))
    published["properties"]["channel"] = {"type": "string"}
    path.write_text(json.dumps(published), "utf-8")
    with pytest.raises(IncompatibleChange, match="channel: removed"):
        export([a_service()], [PROVIDER], written)
    assert json.loads(path.read_text("utf-8")) == published


def test_the_document_has_the_shape_of_asyncapi_3(asyncapi: Any) -> None:
    Draft202012Validator(SHAPE).validate(asyncapi)


def test_every_reference_leads_somewhere(asyncapi: Any, written: Path) -> None:
    found = set(references(asyncapi))
    assert found
    for reference in found:
        file, _, pointer = reference.partition("#/")
        if file:
            assert (written / file).is_file(), reference
        else:
            place = asyncapi
            for step in pointer.split("/"):
                place = place[step]


def test_every_message_is_on_the_channel_of_its_topic(asyncapi: Any) -> None:
    for kind in published_messages():
        channels = [name for name, one in asyncapi["channels"].items() if kind.TYPE in one["messages"]]
        assert len(channels) == 1
        assert asyncapi["components"]["messages"][kind.TYPE]["payload"] == {"$ref": f"./schemas/{kind.TYPE}.json"}


def test_services_and_adapters_are_applications_with_their_operations(asyncapi: Any) -> None:
    assert asyncapi["x-applications"]["sandbox-provider"] == {
        "kind": "adapter",
        "description": "Answers every collection as its script says.",
        "operations": ["sandbox-provider.receive.billing.events", "sandbox-provider.send.billing.commands"],
    }
    sends = asyncapi["operations"]["billing.send.billing.events"]
    assert [one["$ref"].rpartition("/")[2] for one in sends["messages"]] == [
        "houfu.billing.command_rejected.v1",
        "houfu.billing.plan_opened.v1",
    ]
    assert asyncapi["operations"]["billing.receive.checkout.events"]["action"] == "receive"


def test_the_page_says_who_sends_who_reacts_and_shows_an_example(written: Path) -> None:
    page = (written / "events.md").read_text("utf-8")
    accepted = page.partition("### OrderAccepted")[2].partition("### OrderAuthorized")[0]
    assert "| Handled by | `billing`: `" in accepted
    assert "open_plan` |" in accepted
    assert "| `accepted_at` | instant |" in accepted
    assert '"order_id": "o-1001"' in accepted
    report = page.partition("### ReportCollection")[2].partition("###")[0]
    assert "| Sent by | provider adapter; `sandbox-provider` |" in report


def test_a_link_within_the_page_has_a_target(written: Path) -> None:
    page = (written / "events.md").read_text("utf-8")
    targets = {f'<a id="{kind.TYPE.replace(".", "-")}"></a>' for kind in published_messages()}
    assert all(target in page for target in targets)
    structures = page.partition("## Structures")[2]
    for name in ("Terms", "OrderLine", "Instalment", "ReturnTerms"):
        assert f"[{name}](#{name.lower()})" in page
        assert f"### {name}\n" in structures


def test_every_metric_is_on_its_page_in_the_order_of_the_catalogue(written: Path) -> None:
    page = (written / "metrics.md").read_text("utf-8")
    sections = page.split("\n## ")[1:]
    assert [section.partition("\n")[0] for section in sections] == [metric.name for metric in CATALOGUE]
    for section, metric in zip(sections, CATALOGUE, strict=True):
        assert f"| [{metric.name}](#{metric.name}) | {metric.kind} | {metric.unit} | {metric.of} |" in page
        assert f"| Meaning | {metric.meaning} |\n| What to do | {metric.remedy} |" in section
        assert all(f"Label `{label.name}`" in section for label in metric.labels)


def test_yaml_says_exactly_what_the_data_says() -> None:
    data = {
        "plain": "后付: yes",
        "a key": ["no", "- 1", "", [], {}, [[1, 2], {"x": None}]],
        "$ref": "#/a",
        "multi": "one\ntwo\n",
        "true": True,
        "n": [1, -2.5],
    }
    assert yaml.safe_load(to_yaml(data)) == data
