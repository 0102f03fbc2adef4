"""The books of a stage: gathered, compared, and shown; bags and histories are read on a press alone."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, jsonify, redirect, render_template, url_for
from flask import session as browser
from flask.typing import ResponseReturnValue

from storefront.sandbox import books, form_tokens, happened, happenings, people, stage, wirelog
from storefront.sandbox.books import Books, ByHand, Page, Pause, Payment, Person
from storefront.sandbox.context import sandbox
from storefront.sandbox.desk import reading
from storefront.sandbox.desk.reading import Reading
from storefront.sandbox.happened import Name
from storefront.sandbox.mixi import payments
from storefront.sandbox.stage import Stage

FAILED = "unread"  # in the browser's session: why the last press could not read somebody
# What changes a payment's state on our side.
CHANGES = (
    Name.PAYMENT_CREATED,
    Name.PAYMENT_COMPLETED,
    Name.PAYMENT_CANCELLED,
    Name.PAYMENT_PAID_BACK,
)

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # the provider says no time; what it says is of the reading

blueprint = Blueprint("books", __name__)


@blueprint.app_context_processor
def _for_pages() -> dict[str, Callable[[], Any]]:
    return {"books_now": lambda: of(stage.current()), "books_read_at": lambda: read_at(stage.current())}


@blueprint.get("/desk/books")
def show() -> ResponseReturnValue:
    """Points and goods side by side."""
    on = stage.current()
    names = {user.owner_id: user for user in people.everyone(on.id)}
    failed = browser.get(FAILED, {})
    return render_template(
        "sandbox/desk/books.html",
        books=of(on),
        names=names,
        ours={payment.code for payment in payments.all_of(on.id)},
        last=read_at(on),
        failed={owner_id: why for owner_id, why in failed.items() if owner_id in names},
    )


@blueprint.get("/desk/books.json")
def as_json() -> ResponseReturnValue:
    """The same for a machine."""
    return jsonify(books.as_json(of(stage.current())))


@blueprint.post("/desk/books")
def read() -> ResponseReturnValue:
    """Read every bag and history, as a visit of its buyer each."""
    form_tokens.check()
    on = stage.own()
    browser[FAILED] = dict(reading.read(sandbox(), on))
    happenings.note(on.id, Name.BOOKS_READ, verdict=of(on).verdict.word)
    return redirect(url_for(".show"), 303)


def read_at(on: Stage) -> datetime | None:
    """When bags and histories were last read; None before."""
    return max((last.at for _, last in reading.first_and_last(on).values()), default=None)


def of(on: Stage) -> Books:
    """The books of a stage as they stand."""
    settings = sandbox().settings
    pause = Pause(timedelta(seconds=settings.void_after), timedelta(seconds=settings.confirm_pause))
    everyone = [_person(user) for user in people.everyone(on.id)]
    return books.verdict(everyone, [*_payments(on), *_outside(on)], _pages(on), pause)


def _person(user: people.User) -> Person:
    return Person(
        user.owner_id,
        user.persona_key,
        user.given,
        user.topped_up,
        user.balance,
        user.persona.is_everywhere,
    )


def _payments(on: Stage) -> Sequence[Payment]:
    """Those in points, oldest first."""
    changed = happenings.last(on.id, CHANGES)
    answered, unheard = _answered(on), _unheard(on)
    return [
        _payment(one, changed.get(one.code), answered.get(one.code), unheard.get(one.code))
        for one in payments.all_of(on.id)
    ]


def _answered(on: Stage) -> Mapping[str, datetime]:
    """When the shop last said OK to each purchase: to what we really asked, and while its time lasted."""
    most, forged = sandbox().settings.callback_seconds, happenings.forged(on.id)
    return {
        row.point_code: row.at + timedelta(milliseconds=row.milliseconds)
        for row in wirelog.agreed(on.id)
        if row.point_code and row.id not in forged and row.queued_seconds + row.milliseconds / 1000 <= most
    }


def _unheard(on: Stage) -> Mapping[str, datetime]:
    """When the shop last asked about a payment, of those of which it was not told then how they stand."""
    told = happenings.last(on.id, [Name.PAYMENT_CONFIRMED])
    asked = happenings.last(on.id, [Name.PAYMENT_CONFIRMED, Name.API_REFUSED])
    return {code: at for code, at in asked.items() if at != told.get(code)}


def _payment(
    one: payments.Payment, changed: datetime | None, answered: datetime | None, unheard: datetime | None
) -> Payment:
    return Payment(
        code=one.code,
        owner_id=one.owner_id,
        item_id=one.item_id,
        item_name=one.item_name,
        charged=one.charged,
        status=one.status.value,
        changed_at=changed or one.updated_at,
        is_test=one.is_test,
        answered_at=answered,
        unheard_at=unheard,
    )


def _outside(on: Stage) -> Sequence[Payment]:
    """Those at the provider, as it told of them when the histories were read."""
    lasts = [last for _, last in reading.first_and_last(on).values()]
    return [
        Payment(
            code=code,
            owner_id=last.owner_id,
            item_id=row["item_id"],
            item_name=row["item"],
            charged=0,
            status=row["status"],
            changed_at=LONG_AGO,
            yen=row["yen"],
            is_told=row["heard"],
        )
        for last in lasts
        for code, row in last.outside.items()
    ]


def _pages(on: Stage) -> Sequence[Page]:
    return [_page(on, first, last) for first, last in reading.first_and_last(on).values()]


def _page(on: Stage, first: Reading, last: Reading) -> Page:
    user = people.find(last.owner_id, on.id)
    is_shared = user is not None and user.persona.is_everywhere
    uses = {**first.uses, **last.uses}
    return Page(
        owner_id=last.owner_id,
        at=last.at,
        bag=last.bag,
        history=last.entries,
        used=Counter(last.used) + _used_in_town(on, last.owner_id),
        kept=frozenset(last.kept),
        consumable=frozenset(uses) | _consumable(on),
        since=first.at if is_shared else None,
        before=first.bag if is_shared else {},
        by_hand=[
            ByHand(*row) for key, row in last.by_hand.items() if not (is_shared and key in first.by_hand)
        ],
    )


def _used_in_town(on: Stage, owner_id: str) -> Counter[str]:
    """What somebody has used up in the game, as it has told."""
    uses = [one for one in happenings.of_name(on.id, Name.TOWN_USED) if one.owner_id == owner_id]
    return Counter(mark["item"] for one in uses for mark in happened.marks(one))


def _consumable(on: Stage) -> frozenset[str]:
    """The items whose pages were seen to say that they are for use."""
    marks = [mark for seen in happenings.pages(on.id) for mark in happened.marks(seen)]
    return frozenset(mark["item"] for mark in marks if mark.get("consumable") == "yes" and "item" in mark)
