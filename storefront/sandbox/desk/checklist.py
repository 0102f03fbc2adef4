"""Walkthroughs at the desk: to read, to begin on a stage of one's own, and to see ticked off.

What is seen on a page that the platform does not carry somebody has to say: a person *seen* or *not seen*
of a step, the robot the facts of each page, and that a step is over.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
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
from storefront.sandbox.desk import presses, wording
from storefront.sandbox.desk.presses import Press
from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Name, Shown
from storefront.sandbox.happenings import Happening, note
from storefront.sandbox.judge import State, Tick
from storefront.sandbox.judging import NOT_APPLICABLE, SAID
from storefront.sandbox.kinds import KINDS, Call
from storefront.sandbox.language import N_
from storefront.sandbox.mixi import goods
from storefront.sandbox.mixi.goods import NothingSold
from storefront.sandbox.neighbours import Deaf
from storefront.sandbox.settings import SandboxSettings
from storefront.sandbox.stage import Stage
from storefront.sandbox.walks import Walk
from storefront.sandbox.walkthroughs import Walkthrough

BOOK = "walkthroughs"  # of the app's extensions: all there are, by name
NOT_YET = N_("Nothing was noted: what is still missing, the platform sees itself. Play the step first.")
UNKNOWN_PRICE = N_("The app could not be asked for an item, so everybody starts with what is usual.")
MOST = 1_000_000  # points that anything costs
CHAPTERS = {
    "buying": N_("Buying"),
    "callbacks": N_("Callbacks"),
    "platform": N_("Platform"),
    "devices": N_("Devices and people"),
    "outside": N_("Outside"),
    "own": N_("The shop's own"),
    "game": N_("Into the game"),
}

blueprint = Blueprint("checklist", __name__)


def init_app(app: Flask, settings: SandboxSettings) -> None:
    """Read what there is to walk through; a broken file stops the sandbox with its line and rule."""
    app.extensions[BOOK] = {one.name: one for one in walkthroughs.read(*settings.walkthroughs)}
    app.register_blueprint(blueprint)


@blueprint.context_processor
def _in_words() -> dict[str, Any]:
    return {
        "press_words": _press_words,
        "expected": wording.expected,
        "came": wording.came,
        "points_of": wording.points,
        "kinds": KINDS,
    }


@blueprint.get("/desk/walkthroughs")
def index() -> ResponseReturnValue:
    """Every walkthrough, chapter by chapter; one of them is open, the first or the one that is asked for."""
    chapters = list(_chapters())
    asked = request.args.get("chapter")
    return render_template(
        "sandbox/desk/walkthroughs.html",
        chapters=chapters,
        chapter=asked if asked in [name for name, _, _ in chapters] else chapters[0][0],
        walk=walks.on(stage.current()),
    )


@blueprint.get("/desk/walkthroughs.json")
def index_json() -> ResponseReturnValue:
    """The same for the robot: all that it plays, and whether a machine to stop and a game are there."""
    found = [one.model_dump(mode="json", exclude_none=True) for one in _book().values()]
    chapters = [{"name": name, "title": gettext(title)} for name, title, _ in _chapters()]
    return jsonify(breaker=_has_breaker(), game=_has_game(), chapters=chapters, walkthroughs=found)


@blueprint.get("/desk/walkthroughs/<name>")
def show(name: str) -> ResponseReturnValue:
    """One walkthrough: its story, its rule, and what is done."""
    one = _book().get(name) or abort(404)
    return render_template(
        "sandbox/desk/walkthrough.html",
        one=one,
        persona=BY_KEY[one.who],
        without_breaker="breaker" in one.needs and not _has_breaker(),
        without_game="game" in one.needs and not _has_game(),
    )


@blueprint.post("/desk/walkthroughs/<name>/begin")
def begin(name: str) -> ResponseReturnValue:
    """A fresh stage with its people and its weather, and this browser goes to it."""
    form_tokens.check()
    one = _book().get(name) or abort(404)
    device = request.form.get("device", one.on[0].value)
    if device not in one.on:
        abort(400)
    on = stage.make(walkthrough=name, device=Device(device), seed=_number("seed"))
    item = _item(on, one)
    if "price" in item:
        points = max(0, walkthroughs.amount(one.points, int(item["price"])))
        for key in one.people:
            people.give(people.playing(on.id, BY_KEY[key]), points)
    neighbours.leave(sandbox(), stage.current())
    stage.begin(on)
    cast = {user.persona_key: user.owner_id for user in people.everyone(on.id)}
    pause = sandbox().settings.confirm_pause
    note(on.id, Name.WALK_BEGUN, walkthrough=name, hand=device, people=cast, pause=pause, **item)
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
    """How far it is: each step, and what is missing; to read alone where this browser plays elsewhere."""
    walk, on, one = _found(number)
    told, ticks = _judged(on, one)
    is_here = on.id == stage.current().id
    begun = next((row.facts for row in told if row.name is Name.WALK_BEGUN), {})
    now = next((tick.step for tick in ticks if tick.state is State.OPEN), None)
    step = now if is_here and now is not None and now < len(one.steps) else None
    return render_template(
        "sandbox/desk/walk.html",
        walk=walk,
        one=one,
        on_stage=on,
        is_here=is_here,
        begun=begun,
        persona=BY_KEY[one.who],
        steps=list(zip(one.steps, ticks, strict=False)),
        now=now,
        presses=presses.of(one, step, on, on.device or one.on[0]) if step is not None else (),
        said={row.facts["step"] for row in judge.standing(told) if row.facts.get("said") in ("yes", "no")},
        void_after=sandbox().settings.void_after,
        in_doubt=any(given.kind == "callback.lost" for given in one.weather),
        books=ticks[-1],
        verdict=judge.verdict(ticks, told),
        reason=judge.why_not(told),
    )


@blueprint.post("/desk/walks/<int:number>/return")
def go_back(number: int) -> ResponseReturnValue:
    """This browser goes back to the stage of a walk that it has begun."""
    form_tokens.check()
    _, on, _ = _found(number)
    stage.begin(on)
    return redirect(url_for(".show_walk", number=number), 303)


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
    if on.id != stage.current().id:
        abort(404)
    step, said = _number("step"), request.form.get("seen")
    if step is None or not 0 <= step < len(one.steps) or (said is None) == ("facts" not in request.form):
        abort(400)
    if said is None:
        note(on.id, Name.SEEN, **_who(on), step=step, **_shown())
        return "", 204
    if said not in SAID:
        abort(400)
    if said == "yes" and not _can_be_said(on, one, step):
        flash(NOT_YET)
        return redirect(url_for(".show_walk", number=number), 303)
    why: dict[str, Any] = {"reason": request.form.get("reason", "")[:400]} if said == NOT_APPLICABLE else {}
    note(on.id, Name.SEEN, step=step, said=said, **why)
    told, ticks = _judged(on, one)
    walks.keep(number, step, judge.verdict(ticks, told))
    return redirect(url_for(".show_walk", number=number), 303)


def _press_words(press: Press) -> str:
    """What stands on a button; of what it names, texts of ours are said in this language, too."""
    return str(gettext(press.says, **{name: gettext(value) for name, value in press.values.items()}))


def _book() -> Mapping[str, Walkthrough]:
    book: Mapping[str, Walkthrough] = current_app.extensions[BOOK]
    return book


def _chapters() -> Iterator[tuple[str, str, Sequence[Walkthrough]]]:
    for name, found in groupby(_book().values(), key=lambda one: one.chapter):
        yield name, CHAPTERS.get(name, name), list(found)


def _has_breaker() -> bool:
    return bool(sandbox().settings.machine_url)


def _has_game() -> bool:
    return bool(sandbox().settings.game_url)


def _item(on: Stage, one: Walkthrough) -> Mapping[str, Any]:
    """What the item costs: as the form says it, else as the app's own pages do."""
    price = _number("price")
    if price is not None:
        return {"price": price}
    user = people.playing(on.id, BY_KEY[one.who])
    try:
        good = goods.choose(sandbox(), on, user, one.item, least=walkthroughs.shortage(one.points))
    except NothingSold:
        flash(UNKNOWN_PRICE)
        return {}
    return {"price": good.points, "item": good.id, "item_name": good.name}


def _can_be_said(on: Stage, one: Walkthrough, step: int) -> bool:
    """Whether nothing is missing of this step but what a person alone can see."""
    _, ticks = _judged(on, one)
    return ticks[step].can_be_said


def _number(name: str) -> int | None:
    text = request.form.get(name, "").strip()
    if not text:
        return None
    if not text.isdecimal() or len(text) > len(str(MOST)) or int(text) > MOST:
        abort(400)
    return int(text)


def _found(number: int) -> tuple[Walk, Stage, Walkthrough]:
    """A walk of this browser, which may play on another stage meanwhile."""
    walk = walks.by_id(number) or abort(404)
    on = stage.by_id(walk.stage_id)
    if on is None or not stage.is_mine(on):
        abort(404)
    return walk, on, _book().get(walk.name) or abort(404)


def _judged(on: Stage, one: Walkthrough) -> tuple[Sequence[Happening], Sequence[Tick]]:
    told = happenings.all_of(on.id)
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
