"""A service that only shows something, as a real process: ``uvicorn tests.views.gallery_app:app``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.drivers.queries import Query
from shared.engine.service import Service
from shared.operations.process import application
from shared.operations.views import OwnBuyer, Questions, View, Views, unknown
from tests.engine.till import TillRejected

__all__ = ["REVISIONS", "app"]

REVISIONS = Path(__file__).parent / "gallery_migrations"

views = Views()


@dataclass(frozen=True, slots=True)
class Picture:
    buyer_id: str
    title: str


class PictureView(View):
    """What hangs on a buyer's wall."""

    buyer_id: str
    title: str


PICTURE = Query("picture", Picture, "SELECT buyer_id, title FROM picture WHERE buyer_id = $1")


@views.get("/buyers/{buyer_id}/picture")
async def show_picture(buyer_id: OwnBuyer, questions: Questions) -> PictureView:
    """The picture of a buyer."""
    found = await questions.one(PICTURE, buyer_id)
    if found is None:
        raise unknown("UNKNOWN_PICTURE")
    return PictureView.of(found)


app = application(Service("gallery", rejected=TillRejected), views=[views], revisions=REVISIONS)
