"""Every notice has its words, in both languages: amounts with decimals, dates, words for codes, nothing raw."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest

from services.notify.rendering import (
    DEFAULT_LANGUAGE,
    LANGUAGES,
    TEMPLATES,
    NotRenderable,
    Reason,
    Rendered,
    language_of,
    render,
)
from shared.contracts import billing, checkout, refunds
from shared.contracts.message import Event
from shared.operations.schemas import examples_of

TOLD: tuple[type[Event], ...] = (
    checkout.AccountActivated,
    checkout.AccountRejected,
    checkout.AccountStatusChanged,
    checkout.CreditLineChanged,
    checkout.DeliveryReported,
    checkout.OrderAuthorized,
    checkout.OrderCancelled,
    checkout.OrderCaptured,
    checkout.OrderCompleted,
    checkout.OrderDeclined,
    checkout.OrderExpired,
    billing.BillChargedOff,
    billing.BillDueSoon,
    billing.BillIssued,
    billing.BillPaused,
    billing.BillResumed,
    billing.CollectionFailed,
    billing.DelinquencyChanged,
    billing.ExtensionDecided,
    billing.FeeReversed,
    billing.LateFeeAssessed,
    billing.RepaymentAllocated,
    refunds.AppealDecided,
    refunds.AppealOpened,
    refunds.EvidenceRequested,
    refunds.RefundApproved,
    refunds.RefundCompleted,
    refunds.RefundDisputed,
    refunds.ReturnApproved,
    refunds.ReturnClosed,
    refunds.ReturnRejected,
    refunds.SlaMissed,
)
"""Of which events a buyer is told."""

Params = dict[str, Any]


def template_of(event: type[Event]) -> str:
    return event.TYPE.split(".")[2]


every_notice = pytest.mark.parametrize("event", TOLD, ids=template_of)
every_language = pytest.mark.parametrize("language", LANGUAGES)


def params_of(event: type[Event]) -> Params:
    """What the notice of the contract's example is filled in with."""
    [shown] = examples_of(event)
    return {name: value for name, value in shown.items() if name != "buyer_id" and _is_param(value)}


def _is_param(value: object) -> bool:
    return isinstance(value, str | int) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def required_only(event: type[Event]) -> Params:
    needed = {field.alias or name for name, field in event.model_fields.items() if field.is_required()}
    return {name: value for name, value in params_of(event).items() if name in needed}


def with_each_choice(event: type[Event]) -> Iterator[Params]:
    """The example once more for every value of every field that has a list of them, and either way of a yes or no."""
    for name, field in event.model_fields.items():
        for choice in choices(field.annotation):
            yield {**params_of(event), field.alias or name: choice}


def choices(annotation: Any) -> tuple[Any, ...]:
    if annotation is bool:
        return True, False
    match get_origin(annotation):
        case origin if origin is Literal:
            return get_args(annotation)
        case origin if origin in (Union, UnionType):
            return tuple(choice for one in get_args(annotation) for choice in choices(one))
        case origin if origin is Annotated:
            return choices(get_args(annotation)[0])
        case _:
            return ()


def look_at(rendered: Rendered) -> None:
    """Nothing in it betrays that it was made from fields."""
    assert rendered.subject
    assert "\n" not in rendered.subject
    for words in (rendered.subject, rendered.text, shown_by(rendered.html)):
        assert "None" not in words
        assert not re.search(r"\{[{%#]|[%#}]\}", words)
        assert not re.search(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", words), words
        assert not re.search(r"\b[A-Z]{4,}\b", words), words
        assert not re.search(r"  |\( | \)| [,.;]|[：:]\s*$", words.replace("-- \n", ""), re.MULTILINE), words


class _Shown(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(page: str) -> _Shown:
    reader = _Shown()
    reader.feed(page)
    return reader


def shown_by(page: str) -> str:
    return "\n".join(read(page).words)


def vocabulary(language: str) -> dict[str, dict[str, str]]:
    words: dict[str, dict[str, str]] = json.loads((TEMPLATES / language / "vocabulary.json").read_text("utf-8"))
    return words


def sources(language: str) -> str:
    return "\n".join(file.read_text("utf-8") for file in sorted((TEMPLATES / language).glob("*.txt")))


def words(language: str, event: type[Event]) -> str:
    return (TEMPLATES / language / f"{template_of(event)}.txt").read_text("utf-8")


def in_english(event: type[Event], **changed: Any) -> Rendered:
    return render(template_of(event), "en", {**params_of(event), **changed})


@every_language
def test_the_templates_are_those_of_the_events_a_buyer_is_told_of(language: str) -> None:
    assert {file.stem for file in (TEMPLATES / language).glob("*.txt")} == {template_of(event) for event in TOLD}


@every_language
@every_notice
def test_the_contracts_own_example_is_put_into_words(event: type[Event], language: str) -> None:
    look_at(render(template_of(event), language, params_of(event)))


@every_language
@every_notice
def test_what_is_optional_may_be_absent(event: type[Event], language: str) -> None:
    look_at(render(template_of(event), language, required_only(event)))


@every_language
@every_notice
def test_whatever_a_field_may_say_is_put_into_words(event: type[Event], language: str) -> None:
    for params in with_each_choice(event):
        look_at(render(template_of(event), language, params))


@every_language
@every_notice
def test_an_amount_is_shown_with_its_decimals_and_its_currency(event: type[Event], language: str) -> None:
    params = {**params_of(event), "currency": "USD"}
    amounts = [name for name in set(re.findall(r"(\w+) \| money", words(language, event))) if params.get(name, 0) > 0]
    before = re.findall(r"(.?)\b\d[\d,]*\.\d\d\b", render(template_of(event), language, params).text)
    assert set(before) == ({"$"} if amounts else set())


@every_language
@every_notice
def test_text_and_page_say_the_same(event: type[Event], language: str) -> None:
    shown = render(template_of(event), language, params_of(event))
    page = shown_by(shown.html)
    for line in filter(None, shown.text.replace("-- \n", "").splitlines()):
        label, _, value = line.partition("：" if language == "zh_CN" else ": ")
        assert line in page or (label in page and value in page), line
    assert shown.subject in page


def test_both_languages_know_the_same_words() -> None:
    known = [{group: sorted(words) for group, words in vocabulary(one).items()} for one in LANGUAGES]
    assert LANGUAGES == ("en", "zh_CN")
    assert all(one == known[0] for one in known)


@every_language
def test_no_group_of_words_is_idle_and_none_is_missing(language: str) -> None:
    asked = set(re.findall(r'words?\("([a-z_]+)"\)', sources(language)))
    assert asked == set(vocabulary(language)) - {"frame", "bill"}


@every_language
@every_notice
def test_every_value_a_field_can_have_is_a_word_of_its_own(event: type[Event], language: str) -> None:
    known = vocabulary(language)
    fields = {field.alias or name: field for name, field in event.model_fields.items()}
    for name, group in re.findall(r'(\w+) \| word\("(\w+)"\)', words(language, event)):
        assert set(choices(fields[name].annotation)) <= set(known[group]), name


def test_the_score_is_told_to_its_owner_in_its_own_notice_only() -> None:
    for event in TOLD:
        told = [language for language in LANGUAGES if re.search(r"\{\{[^}]*\bscore\b[^}]*\}\}", words(language, event))]
        assert told == (list(LANGUAGES) if event is checkout.CreditLineChanged else []), event


@pytest.mark.parametrize(
    ("locale", "language"),
    [("zh-CN", "zh_CN"), ("zh", "zh_CN"), ("zh-TW", "zh_CN"), ("en", "en"), ("en-GB", "en"), ("fr-FR", "zh_CN")],
)
def test_a_buyer_is_addressed_in_the_nearest_language(locale: str, language: str) -> None:
    assert language_of(locale) == language
    assert language in LANGUAGES
    assert DEFAULT_LANGUAGE in LANGUAGES


@pytest.mark.parametrize(
    ("currency", "amount", "english"),
    [
        ("CNY", 125769, "CN¥1,257.69"),
        ("USD", 5, "$0.05"),
        ("JPY", 125769, "¥125,769"),
        ("KWD", 125769, "KWD125.769"),
        ("IQD", 125769, "IQD125.769"),  # Babel alone would show 126 of a thousand times as much
        ("RSD", 125769, "RSD1,257.69"),
    ],
)
def test_minor_units_are_those_of_iso_4217(currency: str, amount: int, english: str) -> None:
    shown = in_english(billing.BillDueSoon, currency=currency, amount_due=amount)
    assert f"Amount due: {english}\n" in shown.text


def test_an_amount_below_zero_keeps_its_sign() -> None:
    shown = in_english(checkout.CreditLineChanged, score_delta=-25, available=-150)
    assert "Still available: -CN¥1.50" in shown.text
    assert "went down by 25 to 640" in shown.text


@pytest.mark.parametrize(
    ("changed", "subject", "said", "unsaid"),
    [
        ({}, "Your bill is now payable by March 26, 2027", "until the end of March 26, 2027", "costs"),
        ({"fee": 100}, "Your bill is now payable by March 26, 2027", "costs CN¥1.00", "Nothing is charged"),
        ({"decision": "DECLINED", "fee": 100}, "The due date of your bill stays as it is", "not approved", "CN¥1.00"),
        ({"decision": "LAPSED", "fee": 100}, "The due date of your bill stays as it is", "has lapsed", "March 26"),
    ],
)
def test_a_later_due_date_is_told_with_its_price_and_only_where_it_was_granted(
    changed: Params, subject: str, said: str, unsaid: str
) -> None:
    """NOT-04, B-E: granted, the new date and what it costs; else that everything stays, and that nothing is charged."""
    shown = in_english(billing.ExtensionDecided, **changed)
    assert shown.subject == subject
    assert said in shown.text
    assert unsaid not in shown.text


def test_a_late_fee_is_told_with_what_it_was_reckoned_from_and_the_most_it_can_be() -> None:
    """NOT-05, B-F: the fee, its base, the fees of the bill so far and their cap."""
    shown = in_english(billing.LateFeeAssessed, amount=600, fees_total=1200, base=12000, cap=2400, dpd=11)
    assert shown.subject == "A late fee of CN¥6.00 was added to your bill"
    for line in (
        "Based on the overdue amount of: CN¥120.00",
        "Late fees of this bill in all: CN¥12.00",
        "At most: CN¥24.00",
        "Days overdue: 11",
    ):
        assert f"{line}\n" in shown.text


@pytest.mark.parametrize(
    ("changed", "said", "unsaid"),
    [
        ({"fee": 500}, ("Fees forgiven: CN¥5.00", "Late fees forgiven: CN¥16.00", "no longer owe them"), ()),
        ({"late_fee": 0}, ("Still owed: CN¥257.69",), ("forgiven", "CN¥0.00")),
        ({"principal": 0}, ("forgiven",), ("does not cancel the debt",)),
        ({"dpd": 0}, ("written off your bill (order o-1001).",), ("overdue for",)),
    ],
)
def test_a_write_off_says_what_is_still_owed_and_what_is_not(
    changed: Params, said: tuple[str, ...], unsaid: tuple[str, ...]
) -> None:
    """NOT-05, B-D4: fees are forgiven, principal can still be paid."""
    text = in_english(billing.BillChargedOff, **changed).text
    assert all(one in text for one in said), text
    assert not any(one in text for one in unsaid), text


@every_language
def test_a_bill_that_was_written_off_is_not_dunned_for_nothing(language: str) -> None:
    """NOT-05, B-D4: nothing is due on it any more, so no amount is asked for."""
    params = {**params_of(billing.DelinquencyChanged), "stage": "CHARGED_OFF", "dpd": 181, "amount_due": 0}
    shown = render("delinquency_changed", language, params)
    assert "0.00" not in shown.subject + shown.text
    assert "181" in shown.text


@pytest.mark.parametrize(
    ("changed", "said", "unsaid"),
    [
        ({"outcome": "BUYER", "lapsed": True}, ("because the other side did not answer in time",), ("once more",)),
        ({"outcome": "SPLIT", "amount": 300, "currency": "CNY"}, ("You are given CN¥3.00", "once more"), ("paused",)),
        ({"outcome": "SELLER"}, ("not upheld", "once more"), ("paused",)),
        ({"outcome": "SELLER", "level": 2, "order_id": "o-1"}, ("paused",), ("once more",)),
        ({"outcome": "WITHDRAWN"}, ("You have withdrawn your appeal about a late fee",), ("once more",)),
    ],
)
def test_who_loses_an_appeal_hears_of_the_last_one(
    changed: Params, said: tuple[str, ...], unsaid: tuple[str, ...]
) -> None:
    """NOT-10, R-R7: a second ruling may be asked for once, after losing or a split."""
    text = in_english(refunds.AppealDecided, **changed).text
    assert all(one in text for one in said), text
    assert not any(one in text for one in unsaid), text


@pytest.mark.parametrize(
    ("kind", "bill_id", "said"),
    [
        ("PAY_AFTER_USE", "b:o-1001", "Your new bill is ready: CN¥257.69"),
        ("MONTHLY", "m:b-7:2027-03-01", "Your monthly statement is ready: CN¥257.69"),
        ("REVERSAL", "r:cb-1", "A payment of yours was taken back, so what it had paid is payable again: CN¥257.69"),
    ],
)
def test_a_bill_says_where_it_comes_from(kind: str, bill_id: str, said: str) -> None:
    """NOT-03: one order, a month, or a payment that came back."""
    assert said in in_english(billing.BillIssued, kind=kind, bill_id=bill_id).text


def test_an_instant_is_told_in_the_tenants_zone() -> None:
    params = params_of(checkout.OrderAuthorized)
    told = [render("order_authorized", "en", params, zone).text for zone in ("Asia/Shanghai", "Europe/Berlin")]
    assert "March 29, 2027, 10:00 AM" in told[0]
    assert "March 29, 2027, 4:00 AM" in told[1]


@pytest.mark.parametrize(
    ("bill_id", "name"),
    [
        ("b:o-1001", "order o-1001"),
        ("m:b-7:2027-03-01", "monthly statement of March 1, 2027"),
        ("r:rv-1", "a payment that came back"),
    ],
)
def test_a_bill_is_named_as_people_know_it(bill_id: str, name: str) -> None:
    shown = in_english(billing.BillDueSoon, bill_id=bill_id)
    assert f"Bill: {name}\n" in shown.text
    assert bill_id not in shown.text


def test_a_code_the_vocabulary_does_not_know_is_shown_readable_and_text_as_it_is() -> None:
    shown = in_english(checkout.AccountRejected, reasons=["EMPLOYER_UNKNOWN", "see our letter", "INCOME_UNVERIFIED"])
    assert "Reason: employer unknown, see our letter, and your income could not be confirmed\n" in shown.text


def test_what_somebody_typed_adds_no_line_no_header_and_no_markup() -> None:
    typed = "worn\r\nBcc: all@example\n\nPay: <b onclick=x>here</b>\u202e{{ 7 * 7 }}\x00"
    shown = in_english(refunds.ReturnRejected, reason=typed, order_id="o-1\nX-Evil: 1")
    assert shown.subject == "Your return for order o-1 X-Evil: 1 was not approved"
    plain = in_english(refunds.ReturnRejected, reason="worn", order_id="o-1")
    assert len(shown.text.splitlines()) == len(plain.text.splitlines())
    assert read(shown.html).tags == read(plain.html).tags
    assert "<b onclick=x>here</b> {{ 7 * 7 }}" in shown.text
    assert "\u202e" not in shown.text + shown.html


@pytest.mark.parametrize(
    ("template", "params", "reason"),
    [
        ("order_teleported", {}, Reason.UNKNOWN_TEMPLATE),
        ("../../settings", {}, Reason.UNKNOWN_TEMPLATE),
        ("layout.html", {}, Reason.UNKNOWN_TEMPLATE),
        ("order_completed", {"outcome": "COMPLETED"}, Reason.PARAM_MISSING),
        ("order_expired", {"order_id": "o-1", "complete": True, "amount": 1}, Reason.PARAM_MISSING),
        ("order_expired", {"order_id": "o-1", "complete": True, "currency": "CNY"}, Reason.PARAM_MISSING),
        (
            "order_expired",
            {"order_id": "o-1", "complete": True, "currency": "CNY", "amount": "much"},
            Reason.PARAM_UNFIT,
        ),
        ("return_rejected", {"order_id": "o-1", "case_id": "c", "reason": ""}, Reason.PARAM_MISSING),
        (
            "return_rejected",
            {"order_id": "o-1", "case_id": "c", "reason": "", "appeal_until": "soon"},
            Reason.PARAM_UNFIT,
        ),
    ],
)
def test_what_cannot_be_put_into_words_is_refused_by_reason(template: str, params: Params, reason: Reason) -> None:
    with pytest.raises(NotRenderable) as refused:
        render(template, "en", params)
    assert refused.value.reason is reason


def test_a_page_loads_nothing_from_anywhere() -> None:
    shown = in_english(billing.BillDueSoon)
    assert not re.search(r"(?i)https?:|src=|<script|<img|<link", shown.html)
    assert "Houfu 后付" in shown.html
    assert '<html lang="en">' in shown.html
