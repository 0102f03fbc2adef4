"""What can be done to a stage by a press: weather, clock, and things that people and platforms do.

Every address takes a form with `form_token`, acts on the stage of this browser only, and leads on.

    /desk/weather                kind; and as far as wanted api, persona, payment, next, seconds, chance, seed
    /desk/weather/<id>/clear     /desk/weather/clear
    /desk/clock                  seconds, from now on ahead of where it stands; or to=now, to=next-month
    /desk/switches/<switch>      on=yes or no
    /desk/actions/<action>
        pay-back                 payment
        add-app, remove-app      persona
        send-events
        forged-event             persona, type=add or remove, by=nobody or consumer
        rotate-key               device=smartphone or pc
        start-again              the last start address that this browser was given, once more
        start-of-another         persona, device: opens their start address in this browser, whoever it plays
        open-unsigned            persona, path
        open-claimed             persona, path: in this browser, with their name in the address
        callback-by-phone        payment, how=bare, wrong or another: on the phone of its buyer
        finish-of                payment, persona: opens that payment's finish page on their phone; on the
                                 device=smartphone or pc, as whoever has the app open in this browser
        send                     payment, decision=bought or cancelled, fault (may be empty)
    /log/<id>/resend             nonce=same or fresh, fault (may be empty)
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, abort, flash, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox import clock, form_tokens, neighbours, people, stage, weather, wirelog
from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.context import sandbox
from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Name
from storefront.sandbox.happenings import note
from storefront.sandbox.kinds import Call
from storefront.sandbox.language import N_
from storefront.sandbox.mixi import lifecycle, payments, resend, start
from storefront.sandbox.mixi.addresses import App
from storefront.sandbox.mixi.caller import Fault
from storefront.sandbox.mixi.container import claimed, open_unsigned
from storefront.sandbox.mixi.payments import Payment, Question
from storefront.sandbox.mixi.resend import NotNow, Word
from storefront.sandbox.neighbours import Deaf
from storefront.sandbox.people import User
from storefront.sandbox.phone import LAST_START, open_app
from storefront.sandbox.stage import Stage, Switch
from storefront.sandbox.weather import Weather

NUMBER = re.compile(r"[+-]?[0-9]{1,9}")
DECISIONS = {"bought": Question.BUY, "cancelled": Question.CANCEL}
MOST_AHEAD = 10 * 366 * 86_400  # seconds: a date that every part can write

blueprint = Blueprint("actions", __name__)
Action = Callable[[Stage], ResponseReturnValue]


@blueprint.before_request
def _only_own_forms() -> None:
    form_tokens.check()


@blueprint.errorhandler(NotNow)
def _not_now(why: NotNow) -> ResponseReturnValue:
    flash(str(why))
    return _back()


@blueprint.post("/desk/weather")
def set_weather() -> ResponseReturnValue:
    """Let some weather come."""
    on, form = stage.own(), request.form
    who = _person(on) if form.get("persona") else None
    payment = _payment(on) if form.get("payment") else None
    if form.get("api", Call.BOTH.value) not in list(Call):
        abort(400)
    try:
        row = weather.set(
            on,
            form.get("kind", ""),
            api=Call(form.get("api", Call.BOTH.value)),
            owner_id=who.owner_id if who else None,
            point_code=payment.code if payment else None,
            left=_number("next"),
            seconds=_number("seconds"),
            chance=_number("chance"),
            seed=_number("seed"),
        )
    except weather.Unknown:
        abort(400)
    try:
        neighbours.bring(sandbox(), row)
    except Deaf:
        weather.clear(on, row.id)
        flash(N_("What would have to do it could not be reached: nothing was set."))
    return _back("weather")


@blueprint.post("/desk/weather/<int:number>/clear")
def clear_one(number: int) -> ResponseReturnValue:
    """Take one weather away."""
    _take_away(weather.clear(stage.own(), number))
    return _back("weather")


@blueprint.post("/desk/weather/clear")
def clear_all() -> ResponseReturnValue:
    """Fine weather."""
    _take_away(weather.clear(stage.own()))
    return _back("weather")


@blueprint.post("/desk/clock")
def turn_clock() -> ResponseReturnValue:
    """Turn the clock of this stage."""
    on = stage.own()
    match request.form.get("to"):
        case "now":
            ahead = 0
        case "next-month":
            ahead = on.clock_seconds + round((_next_month(on.now()) - on.now()).total_seconds())
        case _:
            ahead = on.clock_seconds + (_number("seconds") or abort(400))
    if abs(ahead) > MOST_AHEAD:
        abort(400)
    stage.turn_clock(on, ahead)
    note(on.id, Name.CLOCK_TURNED, seconds=ahead)
    return _back("clock")


@blueprint.post("/desk/switches/<any(in_development, approved, replace_error_pages, hold_events):name>")
def turn_switch(name: str) -> ResponseReturnValue:
    """Turn one switch of the app on or off."""
    on, wanted = stage.own(), request.form.get("on") == "yes"
    stage.turn(on, Switch(name), wanted)
    note(on.id, Name.SWITCH_TURNED, switch=name, on=wanted)
    return _back("switches")


@blueprint.post("/desk/actions/<action>")
def act(action: str) -> ResponseReturnValue:
    """Do one of the things that people and platforms do."""
    if action not in ACTIONS:
        abort(404)
    return ACTIONS[action](stage.own())


@blueprint.post("/log/<int:number>/resend")
def resend_row(number: int) -> ResponseReturnValue:
    """Send the callback of this row again, or its decision anew."""
    on, row = stage.own(), wirelog.row(stage.own().id, number) or abort(404)
    if request.form.get("nonce") == "same":
        return _to_row(resend.again(sandbox(), on, row))
    payment = payments.by_code(row.point_code or "") or abort(404)
    question = resend.asked(row) or abort(400)
    return _to_row(resend.send(sandbox(), on, payment, question, _fault()))


def _pay_back(on: Stage) -> ResponseReturnValue:
    payment = _payment(on)
    if payments.pay_back(payment, on.now()):
        about: dict[str, Any] = {"owner_id": payment.owner_id, "point_code": payment.code}
        note(on.id, Name.PAYMENT_PAID_BACK, **about, points=payment.charged)
    return _back("actions")


def _add_app(on: Stage) -> ResponseReturnValue:
    lifecycle.add(sandbox(), on, _person(on))
    return _back("actions")


def _remove_app(on: Stage) -> ResponseReturnValue:
    lifecycle.remove(sandbox(), on, _person(on))
    return _back("actions")


def _send_events(on: Stage) -> ResponseReturnValue:
    lifecycle.send(sandbox(), on)
    return _back("actions")


def _forged_event(on: Stage) -> ResponseReturnValue:
    kinds = {"add": lifecycle.Type.ADD, "remove": lifecycle.Type.REMOVE}
    kind = kinds.get(request.form.get("type", "remove")) or abort(400)
    row = lifecycle.forge(sandbox(), on, kind, _person(on), by_consumer=request.form.get("by") == "consumer")
    return _to_row(row)


def _rotate_key(on: Stage) -> ResponseReturnValue:
    start.rotate(sandbox(), on, _own_domain())
    return _back("actions")


def _start_again(on: Stage) -> ResponseReturnValue:
    address = session.get(LAST_START) or abort(404)
    note(on.id, Name.START_GIVEN, how="again")
    return redirect(address, 303)


def _start_of_another(on: Stage) -> ResponseReturnValue:
    user, device = _person(on), _own_domain()
    if not user.has_app:
        lifecycle.add(sandbox(), on, user)
    return redirect(start.address(sandbox(), on, device, user), 303)


def _open_unsigned(on: Stage) -> ResponseReturnValue:
    return _to_row(open_unsigned(sandbox(), on, _person(on), _path()))


def _open_claimed(on: Stage) -> ResponseReturnValue:
    return redirect(claimed(sandbox(), _person(on), _path()), 303)


def _callback_by_phone(on: Stage) -> ResponseReturnValue:
    payment = _payment(on)
    word = {one.value: one for one in Word}.get(request.form.get("how", "")) or abort(400)
    buyer = people.find(payment.owner_id, on.id) or abort(404)
    open_app(on, buyer, Device.MOBILE)
    decided = {"point_code": payment.code, "status": int(Question.BUY), "updated": clock.stamp(on.now())}
    return redirect(_app().page(f"{resend.address(on, payment, word)}?{urlencode(decided)}"), 303)


def _finish_of(on: Stage) -> ResponseReturnValue:
    payment, somebody = _payment(on), _person(on)
    told = urlencode({"point_code": payment.code, "status": int(Question.BUY)})
    page = f"{payment.finish_url}?{told}"
    if request.form.get("device", Device.MOBILE.value) != Device.MOBILE.value:
        _own_domain()
        return redirect(page, 303)
    open_app(on, somebody, Device.MOBILE)
    return redirect(_app().page(page), 303)


def _send(on: Stage) -> ResponseReturnValue:
    payment = _payment(on)
    question = DECISIONS.get(request.form.get("decision", "bought")) or abort(400)
    return _to_row(resend.send(sandbox(), on, payment, question, _fault()))


ACTIONS: dict[str, Action] = {
    "pay-back": _pay_back,
    "add-app": _add_app,
    "remove-app": _remove_app,
    "send-events": _send_events,
    "forged-event": _forged_event,
    "rotate-key": _rotate_key,
    "start-again": _start_again,
    "start-of-another": _start_of_another,
    "open-unsigned": _open_unsigned,
    "open-claimed": _open_claimed,
    "callback-by-phone": _callback_by_phone,
    "finish-of": _finish_of,
    "send": _send,
}


def _take_away(gone: Sequence[Weather]) -> None:
    for row in gone:
        try:
            neighbours.take_away(sandbox(), row)
        except Deaf:
            flash(N_("The provider could not be reached: what was set there may still strike."))


def _person(on: Stage) -> User:
    return people.playing(on.id, BY_KEY.get(request.form.get("persona", "")) or abort(400))


def _payment(on: Stage) -> Payment:
    """A payment of this stage; the newest if none is named."""
    named = request.form.get("payment")
    found = payments.by_code(named) if named else next(iter(payments.recent(on.id, 1)), None)
    if found is None or found.stage_id != on.id:
        abort(404)
    return found


def _path() -> str:
    path = request.form.get("path") or "/"
    if not path.startswith("/"):
        abort(400)
    return path


def _own_domain() -> Device:
    word = request.form.get("device", "")
    if word not in (Device.SMARTPHONE, Device.PC):
        abort(400)
    return Device(word)


def _fault() -> Fault | Word | None:
    named = request.form.get("fault", "")
    if not named:
        return None
    known: dict[str, Fault | Word] = {one.value: one for one in (*Fault, *Word)}
    return known.get(named) or abort(400)


def _number(name: str) -> int | None:
    text = request.form.get(name, "").strip()
    if not text:
        return None
    if not NUMBER.fullmatch(text):
        abort(400)
    return int(text)


def _next_month(moment: datetime) -> datetime:
    """Noon on the first of the month that follows."""
    year, month = divmod(moment.year * 12 + moment.month, 12)
    return moment.replace(year=year, month=month + 1, day=1, hour=12, minute=0, second=0, microsecond=0)


def _app() -> App:
    settings = sandbox().settings
    return App(settings.app_id, settings.shop_url, settings.public_url)


def _back(anchor: str | None = None) -> ResponseReturnValue:
    """To the page of the sandbox that the press came from, else to the desk."""
    came = urlsplit(request.form.get("back", ""))
    path = came.path if came.path.startswith("/desk") and not came.netloc else url_for("desk.show")
    return redirect(f"{path}#{anchor}" if anchor else path, 303)


def _to_row(number: int) -> ResponseReturnValue:
    return redirect(f"/log/{number}", 303)
