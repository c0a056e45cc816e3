"""The words of a notice: its template in the buyer's language, as a subject, a text and a page of HTML.

A template is named by the event it tells of and is prose: a ``subject``, a ``body`` in paragraphs, and ``facts``, one
"label: value" a line. The one HTML layout escapes all it is given, and a value stays on one line, so nothing that a
shop or a buyer once typed becomes markup, a paragraph or a header. The inbox and the mail adapter both speak from here.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time
from babel.lists import format_list
from babel.numbers import NumberPattern
from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateNotFound, UndefinedError, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

__all__ = ["DEFAULT_LANGUAGE", "LANGUAGES", "NotRenderable", "Reason", "Rendered", "language_of", "render"]

TEMPLATES = Path(__file__).with_name("templates")

LANGUAGES = tuple(sorted(found.parent.name for found in TEMPLATES.glob("*/vocabulary.json")))
"""The languages notices are written in, as the folders of their templates are named."""

DEFAULT_LANGUAGE = "zh_CN"
TENANT_ZONE = "Asia/Shanghai"

LANGUAGES_MAX = 32
"""Languages kept in memory, each with its templates; they differ by zone too, of which a deployment has one."""

# ISO 4217 says how many decimals a currency's minor unit stands for, and the wire carries minor units. Babel knows how
# many are usually shown, which are fewer where the coins are gone (RSD, IQD): it would misplace the point.
DECIMALS_USUAL = 2
DECIMALS = dict.fromkeys(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0
) | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)

_CODE = re.compile(r"[A-Z][A-Z0-9_]+")
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
"""White space, control characters, and what turns the direction of writing around."""

_LABEL = re.compile(r"\s*[:：]\s*")


class Reason(StrEnum):
    """Why there are no words for a notice."""

    UNKNOWN_TEMPLATE = "UNKNOWN_TEMPLATE"
    PARAM_MISSING = "PARAM_MISSING"
    PARAM_UNFIT = "PARAM_UNFIT"


class NotRenderable(Exception):
    """A notice cannot be put into words; ``reason`` is stable, the text names the template and what is wrong."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Rendered:
    """A notice in words. The subject is one line."""

    subject: str
    text: str
    html: str


def render(template: str, locale: str, params: Mapping[str, Any], zone: str = TENANT_ZONE) -> Rendered:
    """Put a notice into words, in the language nearest to ``locale`` (BCP 47) and the clock time of ``zone``.

    ``params`` are fields of the event as they stand on the wire: amounts in minor units beside their ``currency``,
    dates and instants as text. Raises :class:`NotRenderable`. Reads no file after a template's first use.
    """
    return _language(language_of(locale), zone).render(template, params)


def language_of(locale: str) -> str:
    """The language a buyer of this locale is addressed in: that very one, else the same tongue, else Chinese."""
    wanted = locale.replace("-", "_")
    tongue = wanted.partition("_")[0]
    nearest = (wanted, *(one for one in LANGUAGES if one.partition("_")[0] == tongue))
    return next((one for one in nearest if one in LANGUAGES), DEFAULT_LANGUAGE)


@lru_cache(maxsize=LANGUAGES_MAX)
def _language(name: str, zone: str) -> _Language:
    return _Language(name, ZoneInfo(zone))


class _Language:
    """One language at one place: its templates, its vocabulary, and how it writes amounts, dates and lists."""

    def __init__(self, name: str, zone: ZoneInfo) -> None:
        self._tag = name.replace("_", "-")
        self._locale = Locale.parse(name)
        self._zone = zone
        self._words = json.loads((TEMPLATES / name / "vocabulary.json").read_text("utf-8"))
        self._templates = SandboxedEnvironment(
            loader=FileSystemLoader([TEMPLATES / name, TEMPLATES]),
            autoescape=lambda file: file is not None and file.endswith(".html"),
            undefined=StrictUndefined,
            finalize=_on_one_line,
            trim_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self._templates.globals.clear()  # a template says what it is given, no more
        self._templates.filters = {
            "bill": self._bill,
            "date": self._date,
            "instant": self._instant,
            "money": self._money,
            "word": self._word,
            "words": self._list,
        }

    def render(self, name: str, params: Mapping[str, Any]) -> Rendered:
        frame: dict[str, str] = self._words["frame"]
        subject, body, facts = self._blocks(name, params)
        subject, *paragraphs = [
            frame["between_sentences"].join(one.split("\n")) for one in (subject, *re.split(r"\n{2,}", body))
        ]
        pairs = [_LABEL.split(line, maxsplit=1) for line in facts.splitlines() if line]
        listed = "\n".join(frame["fact"].format(label=label, value=value) for label, value in pairs)
        text = [frame["greeting"], *paragraphs, listed, frame["farewell"], "-- \n" + frame["footer"]]
        page = self._templates.get_template("layout.html").render(
            subject=subject, paragraphs=paragraphs, facts=pairs, language=self._tag, **frame
        )
        return Rendered(subject, "\n\n".join(part for part in text if part) + "\n", page)

    def _blocks(self, name: str, params: Mapping[str, Any]) -> tuple[str, str, str]:
        try:
            template = self._templates.get_template(f"{name}.txt")
        except TemplateNotFound:
            raise NotRenderable(Reason.UNKNOWN_TEMPLATE, name) from None
        try:
            subject, body, facts = (_filled(template, block, params) for block in ("subject", "body", "facts"))
        except UndefinedError as missing:
            raise NotRenderable(Reason.PARAM_MISSING, f"{name}: {missing.message}") from missing
        except (ArithmeticError, LookupError, TypeError, ValueError) as unfit:
            raise NotRenderable(Reason.PARAM_UNFIT, f"{name}: {type(unfit).__name__}") from unfit
        return subject, body, facts

    @pass_context
    def _money(self, context: Context, amount: int) -> str:
        currency = str(context.resolve("currency"))
        decimals = DECIMALS.get(currency, DECIMALS_USUAL)
        pattern: NumberPattern = copy.copy(self._locale.currency_formats["standard"])
        pattern.frac_prec = (decimals, decimals)
        value = Decimal(int(amount)).scaleb(-decimals)
        return str(pattern.apply(value, self._locale, currency=currency, currency_digits=False))

    def _date(self, day: str) -> str:
        return format_date(date.fromisoformat(str(day)), "long", locale=self._locale)

    def _instant(self, instant: str) -> str:
        local = datetime.fromisoformat(str(instant)).astimezone(self._zone)
        day, clock = format_date(local, "long", locale=self._locale), format_time(local, "short", locale=self._locale)
        return str(self._locale.datetime_formats["long"]).format(clock, day)

    def _bill(self, bill_id: str) -> str:
        """A bill as people know it, by its id: ``b:<order>``, ``m:<buyer>:<date>`` or ``r:<reversal>``."""
        kind, _, rest = str(bill_id).partition(":")
        words: dict[str, str] = self._words["bill"]
        match kind:
            case "b":
                return words["order"].format(order=rest)
            case "m":
                return words["statement"].format(date=self._date(rest.rpartition(":")[2]))
            case _:
                return words["reversal"]

    def _word(self, code: str, group: str) -> str:
        """What a code means; one the vocabulary does not know is shown readable, and text as it is."""
        known: dict[str, str] = self._words[group]
        return known.get(code) or (code.replace("_", " ").lower() if _CODE.fullmatch(code) else code)

    def _list(self, codes: list[str], group: str) -> str:
        return format_list([self._word(code, group) for code in codes], locale=self._locale)


def _filled(template: Template, block: str, params: Mapping[str, Any]) -> str:
    """One block of a template, without the blank lines around it; empty where the template has none."""
    if block not in template.blocks:
        return ""
    words = "".join(template.blocks[block](template.new_context(dict(params))))
    return "\n".join(line.strip() for line in words.strip().splitlines())


def _on_one_line(value: object) -> object:
    return _BREAKS.sub(" ", value).strip() if isinstance(value, str) else value
