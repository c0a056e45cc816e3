"""Messages to begin a test with: the examples that the contracts themselves give."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from shared.contracts.message import Message
from shared.operations.schemas import examples_of

__all__ = ["sample_of"]

Sample = TypeVar("Sample", bound=Message)


def sample_of(kind: type[Sample], **changes: Any) -> Sample:
    """A message as its contract shows it, with these fields changed on the wire; None leaves a field out."""
    body = {**examples_of(kind)[0], **changes}
    return kind.from_json(json.dumps({name: value for name, value in body.items() if value is not None}))
