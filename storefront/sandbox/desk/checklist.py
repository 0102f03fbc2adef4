"""Walkthroughs at the desk: to read, to begin on a stage of one's own, and to see ticked off.

What is seen on a page that the platform does not carry somebody has to say: a person *seen* or *not seen*
of a step, the robot the facts of each page, and that a step is over.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from flask import Blueprint, Flask, abort, current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from pydantic import ValidationError

from storefront.sandbox import (
    form_tokens,
    happenings,
    judge,
    neighbours,
    people,
    stage,
    walks,
    walkthroughs,
    weather,
)
from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.context import sandbox
from storefront.sandbox.desk import wording
from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Name, Shown
from storefront.sandbox.happenings import Happening, note
from storefront.sandbox.judge import Tick
from storefront.sandbox.judging import NOT_APPLICABLE, SAID
from storefront.sandbox.kinds import KINDS, Call
from storefront.sandbox.language import N_
from storefront.sandbox.neighbours import Deaf
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.stage import Stage
from storefront.sandbox.walks import Walk
from storefront.sandbox.walkthroughs import Walkthrough

BOOK = "walkthroughs"  # of the app's extensions: all there are, by name
MOST = 1_000_000  # points that anything costs
CHAPTERS = {
    "buying": N_("Buying"),
    "callbacks": N_("Callbacks"),
    "platform": N_("Platform"),
    "devices": N_("Devices and people"),
    "outside": N_("Outside"),
    "own": N_("The shop's own"),
}

blueprint = Blueprint("checklist", __name__)


def init_app(app: Flask, settings: SandboxSettings) -> None:
    """Read what there is to walk through; a broken file stops the sandbox with its line and rule."""
    app.extensions[BOOK] = {one.name: one for one in walkthroughs.read(*settings.walkthroughs)}
    app.register_blueprint(blueprint)


@blueprint.context_processor
def _in_words() -> dict[str, Any]:
    return {
        "expected": wording.expected,
        "came": wording.came,
        "points_of": wording.points,
        "kinds": KINDS,
    }


@blueprint.get("/desk/walkthroughs")
def index() -> ResponseReturnValue:
    """Every walkthrough, chapter by chapter."""
    walk = walks.on(stage.current())
    return render_template("sandbox/desk/walkthroughs.html", chapters=list(_chapters()), walk=walk)


@blueprint.get("/desk/walkthroughs.json")
def index_json() -> ResponseReturnValue:
    """The same for the robot: all that it plays, and whether the shop's own machine can be stopped."""
    found = [one.model_dump(mode="json", exclude_none=True) for one in _book().values()]
    chapters = [{"name": name, "title": gettext(title)} for name, title, _ in _chapters()]
    return jsonify(breaker=_has_breaker(), chapters=chapters, walkthroughs=found)


@blueprint.get("/desk/walkthroughs/<name>")
def show(name: str) -> ResponseReturnValue:
    """One walkthrough: its story, its rule, and what is done."""
    one = _book().get(name) or abort(404)
    return render_template(
        "sandbox/desk/walkthrough.html",
        one=one,
        persona=BY_KEY[one.who],
        without_breaker="breaker" in one.needs and not _has_breaker(),
    )


@blueprint.post("/desk/walkthroughs/<name>/begin")
def begin(name: str) -> ResponseReturnValue:
    """A fresh stage with its people and its weather, and this browser goes to it."""
    form_tokens.check()
    one = _book().get(name) or abort(404)
    device = request.form.get("device", one.on[0].value)
    if device not in one.on:
        abort(400)
    on = stage.make(
        walkthrough=name, device=Device(device), seed=_number("seed"), points=_points(one, _number("price"))
    )
    stage.begin(on)
    cast = {user.persona_key: user.owner_id for user in people.everyone(on.id)}
    note(on.id, Name.WALK_BEGUN, walkthrough=name, hand=device, people=cast)
    for given in one.weather:
        row = weather.set(on, given.kind, api=Call(given.api), left=given.next, seconds=given.seconds)
        try:
            neighbours.bring(sandbox(), row)
        except Deaf:
            abort(503)
    walk = walks.begin(on, name)
    return redirect(url_for(".show_walk", number=walk.id), 303)


@blueprint.get("/desk/walks/<int:number>")
def show_walk(number: int) -> ResponseReturnValue:
    """How far it is: each step, and what is missing."""
    walk, on, one = _found(number)
    told, ticks = _judged(on, one)
    return render_template(
        "sandbox/desk/walk.html",
        walk=walk,
        one=one,
        on_stage=on,
        persona=BY_KEY[one.who],
        steps=list(zip(one.steps, ticks, strict=False)),
        books=ticks[-1],
        verdict=judge.verdict(ticks, told),
        reason=judge.why_not(told),
    )


@blueprint.get("/desk/walks/<int:number>.json")
def show_walk_json(number: int) -> ResponseReturnValue:
    walk, on, one = _found(number)
    told, ticks = _judged(on, one)
    return jsonify(
        id=walk.id,
        name=walk.name,
        device=on.device,
        verdict=judge.verdict(ticks, told),
        reason=judge.why_not(told),
        steps=[asdict(tick) for tick in ticks],
    )


@blueprint.post("/desk/walks/<int:number>/seen")
def seen(number: int) -> ResponseReturnValue:
    """Somebody says what they have seen: of a step, or on a page."""
    form_tokens.check()
    _, on, one = _found(number)
    step, said = _number("step"), request.form.get("seen")
    if step is None or not 0 <= step < len(one.steps) or (said is None) == ("facts" not in request.form):
        abort(400)
    if said is None:
        note(on.id, Name.SEEN, **_who(on), step=step, **_shown())
        return "", 204
    if said not in SAID:
        abort(400)
    why: dict[str, Any] = {"reason": request.form.get("reason", "")[:400]} if said == NOT_APPLICABLE else {}
    note(on.id, Name.SEEN, step=step, said=said, **why)
    told, ticks = _judged(on, one)
    walks.keep(number, step, judge.verdict(ticks, told))
    return redirect(url_for(".show_walk", number=number), 303)


def _book() -> Mapping[str, Walkthrough]:
    book: Mapping[str, Walkthrough] = current_app.extensions[BOOK]
    return book


def _chapters() -> Iterator[tuple[str, str, Sequence[Walkthrough]]]:
    for name, found in groupby(_book().values(), key=lambda one: one.chapter):
        yield name, CHAPTERS.get(name, name), list(found)


def _has_breaker() -> bool:
    return bool(sandbox().settings.machine_url)


def _points(one: Walkthrough, price: int | None) -> Mapping[str, int]:
    """What each of its people starts with, once the price of the item is known."""
    if price is None:
        return {}
    return dict.fromkeys(one.people, max(0, walkthroughs.amount(one.points, price)))


def _number(name: str) -> int | None:
    text = request.form.get(name, "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) > MOST:
        abort(400)
    return int(text)


def _found(number: int) -> tuple[Walk, Stage, Walkthrough]:
    """A walk of this browser's own stage."""
    on, walk = stage.current(), walks.by_id(number)
    if walk is None or walk.stage_id != on.id:
        abort(404)
    return walk, on, _book().get(walk.name) or abort(404)


def _judged(on: Stage, one: Walkthrough) -> tuple[Sequence[Happening], Sequence[Tick]]:
    told = happenings.since(on.id)
    return told, judge.judge(one, told)


def _who(on: Stage) -> dict[str, Any]:
    """Whose page it was, and on what; by default what this browser has in its hand."""
    persona = BY_KEY.get(request.form.get("persona", ""))
    user = people.playing(on.id, persona) if persona else people.visitor()
    device = request.form.get("device", "")
    hand = Device(device) if device in list(Device) else people.hand()
    return {"owner_id": user and user.owner_id, "device": hand}


def _shown() -> dict[str, Any]:
    try:
        return Shown.model_validate_json(request.form["facts"]).model_dump()
    except ValidationError:
        abort(400)
