"""What shop owners ask of this counter."""

import structlog
from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from storefront import clock
from storefront.colorme import (
    calendar,
    charges,
    contracts,
    installs,
    plan_page,
    plans,
    purchases,
    shelf,
    starts,
    usage,
)
from storefront.colorme.channel import channel
from storefront.colorme.charges import Charge
from storefront.colorme.client import Declined, NotConnected, Unknown
from storefront.colorme.contracts import Contract
from storefront.colorme.settings import NAME, settings
from storefront.colorme.starts import TurnedAway, Why
from storefront.colorme.usage import NotOnAccount
from storefront.db import transaction
from storefront.shop import buy_form, catalog, form_tokens, visit, visits
from storefront.shop.catalog import Offer
from storefront.shop.limits import Withheld
from storefront.shop.visit import Stranger
from storefront.shop.visits import Visit

STATUSES = {Why.DENIED: 403, Why.STATE: 400, Why.CODE: 400, Why.SILENT: 503, Why.NOT_INSTALLED: 403}

blueprint = Blueprint(NAME, __name__, url_prefix="/colorme")
log = structlog.get_logger()


@blueprint.get("/start")
def start() -> ResponseReturnValue:
    """The settings page that the store lists, and the only way in: by the store's consent."""
    return redirect(starts.begin(visit.language()))


@blueprint.get("/oauth")
def come_back() -> ResponseReturnValue:
    """The owner comes back from the store."""
    said = (request.args.get(name, "") for name in ("state", "code", "error"))
    return visit.enter(*starts.come_back(*said))


@blueprint.post("/leave")
def leave() -> str:
    """An owner goes everywhere at once: in every window, and from who has copied a cookie."""
    owner, now = visit.current().customer.id, clock.now()
    visit.leave(request.form.get("token", ""))
    with transaction() as session:
        visits.end_all(session, [owner], now + contracts.CLOCKS_DIFFER, now)
    return render_template("colorme/left.html", start_url=channel().start_url)


@blueprint.get("/")
def plan() -> ResponseReturnValue:
    """What an owner has agreed to, what it costs next, and how to leave."""
    here = visit.current()
    contract = _contract(here)
    asked_to_go = contract.asked_to_go_at is not None
    try:
        visit.refresh()
    except Stranger:
        if not asked_to_go:
            raise
        return _removed(here, contract)
    contract = _contract(here)
    return render_template(
        "colorme/plan.html",
        contract=contract,
        plan=plans.find(contract.plan_id),
        stands=plan_page.standing(contract, calendar.now()),
        in_doubt=purchases.in_doubt(here.customer),
        stayed=asked_to_go and contract.asked_to_go_at is None,
        store_url=settings().colorme_store_url,
        removal_token=form_tokens.seal(here.customer.id, _removal_of(contract)),
    )


@blueprint.post("/charges")
def checkout() -> ResponseReturnValue:
    """The owner has pressed the button with the price on it, which is the consent: the store asks nobody."""
    here, offer = visit.current(), _offer(request.form.get("item", ""))
    code = f"C{buy_form.sent()}"  # which no terminal takes for an option
    if usage.was_taken(here.customer.id, code):
        return _in_the_bag(here)
    if charges.find(here.customer.id, code) is None:
        again = shelf.is_had_by(offer, here.customer.id)
        buy_form.accept(here, offer)
        option = plans.current().option_of(offer.item.id)
        if option is None:
            return _take_on_account(here, offer, code)
        charges.buy(_contract(here), option, offer, offer.item.name(here.language), code, again=again)
    return redirect(here.target("colorme.charge", code=code), 303)


@blueprint.get("/charges/<code>")
def charge(code: str) -> ResponseReturnValue:
    """What became of an option; buys nothing."""
    here = visit.current()
    found = charges.find(here.customer.id, code)
    if found is None:
        raise NotFound
    return _charge_page(here, found)


@blueprint.post("/removal")
def removal() -> ResponseReturnValue:
    """The owner has the app uninstalled from here."""
    here = visit.current()
    contract = _contract(here)
    form_tokens.unseal(request.form.get("token", ""), here.customer.id, _removal_of(contract))
    try:
        installs.remove(contract)
    except (Declined, NotConnected) as refusal:
        log.warning("removal declined", contract=contract.id, reason=str(refusal))
        return render_template("colorme/removal.html", outcome="declined"), 409
    except Unknown as failure:
        log.warning("removal without an answer", contract=contract.id, reason=failure.reason)
        return render_template("colorme/removal.html", outcome="unknown"), 503
    return _removed(here, contract)


@blueprint.errorhandler(TurnedAway)
def _turned_away(away: TurnedAway) -> ResponseReturnValue:
    log.warning("not let in", reason=away.why.value, cause=str(away.__cause__ or ""))
    urls = {"start_url": channel().start_url, "store_url": settings().colorme_store_url}
    return render_template("colorme/turned_away.html", why=away.why.value, **urls), STATUSES[away.why]


def _removed(here: Visit, contract: Contract) -> str:
    visit.forget()
    said = {"in_doubt": purchases.in_doubt(here.customer), "store_url": settings().colorme_store_url}
    return render_template("colorme/removal.html", outcome="done", form=contract.form, **said)


def _take_on_account(here: Visit, offer: Offer, code: str) -> ResponseReturnValue:
    """It is in the bag at once, and on the plan's page; the store hears of it when its period is over."""
    try:
        usage.take(_contract(here), offer, code, calendar.now())
    except NotOnAccount:
        raise Withheld(shelf.NOT_NOW) from None
    return _in_the_bag(here)


def _in_the_bag(here: Visit) -> ResponseReturnValue:
    return redirect(here.target("shop.bag"), 303)


def _charge_page(here: Visit, found: Charge) -> ResponseReturnValue:
    state = purchases.state(found)
    offer = catalog.offer(found.item_id, NAME)
    return render_template(
        "colorme/charge.html",
        charge=found,
        purchase=purchases.shown(found),
        state_name=state.value,
        offer=offer,
        token=offer and buy_form.seal(here, offer),
        waits=bool(found.retry_at and found.retry_at > clock.now()),
        store_url=settings().colorme_store_url,
    )


def _contract(here: Visit) -> Contract:
    """The contract of who is in; their visits end with it."""
    contract = contracts.standing(here.customer.id)
    if contract is None:
        raise Stranger
    return contract


def _removal_of(contract: Contract) -> str:
    return f"removal:{contract.id}"


def _offer(item_id: str) -> Offer:
    offer = catalog.offer(item_id, NAME)
    if offer is None:
        raise NotFound
    return offer
