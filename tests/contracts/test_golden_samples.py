"""Bodies that were once on the wire are read for ever.

``golden/<type>.json`` holds a list of bodies. It is append-only: whoever changes a message adds a sample of the new
form and leaves the old ones as they are.
"""

import json
from pathlib import Path

import pytest

from shared.contracts.message import message_type, read_message
from shared.operations.schemas import published_messages

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_body_once_written_is_read_and_written_the_same(file: Path) -> None:
    kind = message_type(file.stem)
    assert kind is not None, "a message that was published must stay known"
    samples = json.loads(file.read_text("utf-8"))
    assert samples
    for sample in samples:
        message = kind.from_json(json.dumps(sample))
        assert json.loads(message.to_json()) == sample
        assert read_message(file.stem, json.dumps(sample)).key == message.key


def test_every_message_has_a_golden_sample() -> None:
    assert {file.stem for file in FILES} == {kind.TYPE for kind in published_messages()}
