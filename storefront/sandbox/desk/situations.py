"""Situations: a page that says what will be set up, the press that does it, and the table of them."""

from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox import form_tokens, happenings, neighbours, people, situation, stage, weather
from storefront.sandbox.cast import Persona
from storefront.sandbox.context import sandbox
from storefront.sandbox.desk import outcomes, wording
from storefront.sandbox.desk.outcomes import PURSES, WEATHERS, Outcome
from storefront.sandbox.devices import Device
from storefront.sandbox.kinds import KINDS
from storefront.sandbox.language import N_
from storefront.sandbox.mixi import goods, start
from storefront.sandbox.mixi.addresses import App
from storefront.sandbox.mixi.goods import Good, NothingSold
from storefront.sandbox.neighbours import Deaf
from storefront.sandbox.people import FIRST_STAGE
from storefront.sandbox.phone import open_app, start_address
from storefront.sandbox.situation import ROLES, Situation, Spell
from storefront.sandbox.stage import Stage

NO_GOODS = N_("The app sells no such item, or could not be asked: nothing was set up.")

blueprint = Blueprint("situations", __name__)


@dataclass(frozen=True)
class Cell:
    """One situation of the table: what is expected, and what came of it the last time."""

    situation: Situation
    expected: Outcome
    seen: Outcome | None


@blueprint.errorhandler(situation.Unknown)
def _unknown(why: situation.Unknown) -> ResponseReturnValue:
    return render_template("sandbox/desk/unknown.html", why=str(why)), 400


@blueprint.get("/situation")
def show() -> ResponseReturnValue:
    """What will be set up, in words, with the item that the app has for it. Changes nothing."""
    wanted = situation.read({name: value for name, value in request.args.items() if name != "lang"})
    return render_template(
        "sandbox/desk/situation.html",
        situation=wanted,
        good=_good(wanted),
        kinds=KINDS,
        points_of=wording.points,
    )


@blueprint.post("/situations")
def set_up() -> ResponseReturnValue:
    """Set it up on a fresh stage, and open the phone there."""
    form_tokens.check()
    wanted = situation.read({n: v for n, v in request.form.items() if n != form_tokens.FIELD and v})
    fresh = stage.make(situation=wanted.query, device=wanted.device)
    user = people.playing(fresh.id, wanted.persona)
    try:
        good = goods.choose(sandbox(), fresh, user, wanted.item, least=wanted.shortage)
    except NothingSold:
        flash(NO_GOODS)
        return redirect(f"{url_for('.show')}?{wanted.query}", 303)
    neighbours.leave(sandbox(), stage.current())
    stage.begin(fresh)
    if wanted.points is not None:
        people.give(user, wanted.points.at(good.points))
    open_app(fresh, user, wanted.device)
    stage.turn_clock(fresh, wanted.clock_seconds)
    for spell in wanted.weather:
        _bring(fresh, spell)
    if wanted.device.on_own_domain:
        return redirect(start_address(fresh, wanted.device, user), 303)
    settings = sandbox().settings
    return redirect(
        App(settings.app_id, settings.shop_url, settings.public_url).page(start.in_language(good.url)), 303
    )


@blueprint.get("/desk/outcomes")
def table() -> ResponseReturnValue:
    """Who buys what, in which weather: what is expected, and what was last seen by this browser."""
    item, on = request.args.get("item", "any"), request.args.get("on", Device.MOBILE.value)
    if item not in ROLES or on not in list(Device):
        abort(404)
    cast = outcomes.people()
    rows = [(spell, [_cell(persona, Device(on), item, spell) for persona in cast]) for spell in WEATHERS]
    return render_template(
        "sandbox/desk/outcomes.html",
        people=cast,
        rows=rows,
        kinds=KINDS,
        roles=ROLES,
        devices=list(Device),
        item=item,
        device=Device(on),
    )


def _good(wanted: Situation) -> Good | None:
    """What would be chosen; looked up as a visit of somebody of the stage on which nobody plays."""
    on = stage.by_id(FIRST_STAGE) or abort(404)
    user = people.playing(on.id, wanted.persona)
    try:
        return goods.choose(sandbox(), on, user, wanted.item, least=wanted.shortage)
    except NothingSold:
        return None


def _bring(on: Stage, spell: Spell) -> None:
    row = weather.set(on, spell.kind, seconds=spell.seconds, left=spell.left)
    try:
        neighbours.bring(sandbox(), row)
    except Deaf:
        weather.clear(on, row.id)
        flash(N_("What would have to do it could not be reached: nothing was set."))


def _cell(persona: Persona, device: Device, item: str, spell: Spell | None) -> Cell:
    asked = Situation(persona, device, item, PURSES.get(persona.key), (spell,) if spell else ())
    made = stage.mine(asked.query)
    seen = outcomes.seen(happenings.all_of(made.id)) if made else None
    return Cell(asked, outcomes.expected(persona, spell), seen)
