"""The operator's pages about people: find somebody, read their story, put something right by hand.

Each look at what is somebody's own is in the log.
"""

from collections.abc import Callable, Mapping

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _
from werkzeug.exceptions import NotFound

from storefront import clock
from storefront.config import settings
from storefront.operator import login, search, story
from storefront.operator.search import Found
from storefront.operator.story import Story
from storefront.shop import catalog, corrections, form_tokens
from storefront.shop.corrections import AnotherBefore, Correction, Done, DoneBefore, Note, Refused
from storefront.shop.customers import Customer

COUNTED = 2147483647  # so far the database numbers its rows
NUMBER = f"<int(max={COUNTED}):"
GIVE, TAKE, STRIKE = "give", "take", "strike"
AGAIN = "again"  # the key of what was done before with the same item: this is another case
ANOTHER = _("This was done before with the same item, perhaps for the same case. Nothing was done yet.")

blueprint = Blueprint("operator_people", __name__, url_prefix="/operator")
blueprint.before_request(login.guard)


@blueprint.get("/find")
def find() -> str:
    return render_template("operator/find.html", found=None, wanted="")


@blueprint.post("/find")
def found() -> ResponseReturnValue:
    """By a form, since what is looked for is somebody's own, and an address is written down on its way."""
    wanted = request.form.get("q", "")
    hits = search.find(wanted)
    login.looked(people=[one.id for one in hits.customers], items=[one.id for one in hits.items])
    where = _only(hits)
    if where:
        return redirect(settings().public_url + where, 303)
    return render_template("operator/find.html", found=hits, wanted=wanted)


@blueprint.get(f"/customers/{NUMBER}customer_id>")
def customer(customer_id: int) -> str:
    return _page(_told(customer_id))


@blueprint.post(f"/customers/{NUMBER}customer_id>/give")
def give(customer_id: int) -> ResponseReturnValue:
    sent = request.form

    def act(customer: Customer, note: Note) -> Correction:
        quantity, paid = (sent.get(name, -1, type=int) for name in ("quantity", "paid"))
        item, counter, now = sent.get("item", ""), sent.get("counter", ""), clock.now()
        more = {"quantity": quantity, "amount": paid}
        return corrections.give(customer, item, note, now, channel=counter, beside=sent.get(AGAIN), **more)

    return _put_right(customer_id, GIVE, act)


@blueprint.post(f"/customers/{NUMBER}customer_id>/take")
def take(customer_id: int) -> ResponseReturnValue:
    sent = request.form

    def act(customer: Customer, note: Note) -> Correction:
        item, quantity = sent.get("item", ""), sent.get("quantity", -1, type=int)
        return corrections.take(customer, item, note, clock.now(), quantity=quantity, beside=sent.get(AGAIN))

    return _put_right(customer_id, TAKE, act)


@blueprint.post(f"/customers/{NUMBER}customer_id>/strike")
def strike(customer_id: int) -> ResponseReturnValue:
    entry_id = min(request.form.get("entry", -1, type=int), COUNTED)

    def act(customer: Customer, note: Note) -> Correction:
        return corrections.strike(customer.id, entry_id, note, clock.now())

    return _put_right(customer_id, STRIKE, act)


def _put_right(
    customer_id: int, what: str, act: Callable[[Customer, Note], Correction]
) -> ResponseReturnValue:
    """Do it once, and show the story with it; or say why not, with all that was typed."""
    sent = request.form
    form_tokens.unseal(sent.get("token", ""), login.required(), _purpose(what, customer_id))
    told = _told(customer_id)
    try:
        note = Note.read(sent.get("by", ""), sent.get("cause", ""), sent.get("reason", ""))
        act(told.customer, note)
    except Refused as refusal:
        return _page(told, what, sent, refusal.words), 422
    except DoneBefore as done:
        words = _("Done already, by %(name)s. Nothing was done a second time.", name=done.first.by)
        return _page(told, what, sent, words), 409
    except AnotherBefore as done:
        return _page(told, what, sent, ANOTHER, done.before), 409
    where = url_for("operator_people.customer", customer_id=customer_id)
    return redirect(f"{settings().public_url}{where}#story", 303)


def _told(customer_id: int) -> Story:
    found = story.of(customer_id, clock.now())
    if found is None:
        raise NotFound
    login.looked(people=[customer_id])
    return found


def _page(
    told: Story,
    what: str = "",
    typed: Mapping[str, str] | None = None,
    refusal: LazyString | None = None,
    before: Done | None = None,
) -> str:
    holder, wanted = login.required(), request.args.get("give", type=int)
    items = catalog.everything()
    return render_template(
        "operator/customer.html",
        told=told,
        items=items,
        by_id={one.id: one for one in items},
        name=login.name(),
        token=lambda what: form_tokens.seal(holder, _purpose(what, told.customer.id)),
        what=what,
        typed=typed or {},
        refusal=refusal,
        before=before,
        wanted=next((one.step for one in told.steps if one.number == wanted), None),
    )


def _only(hits: Found) -> str | None:
    """The page of the one thing that was found."""
    match hits:
        case Found(customers=[one], items=[]):
            return url_for("operator_people.customer", customer_id=one.id)
        case Found(customers=[], items=[item]):
            return url_for("operator_goods.item", item_id=item.id)
    return None


def _purpose(what: str, customer_id: int) -> str:
    return f"{what}:{customer_id}"
