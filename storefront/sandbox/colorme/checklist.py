"""Walkthroughs at the store: to read, to begin with new shops, and to see ticked off.

What the store does and shows ticks itself. What is seen on the app's own pages somebody has to say: a person
*seen* or *not seen* of a step, the robot the facts of each page, and that a step is over.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import groupby
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
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

from storefront.sandbox import judging
from storefront.sandbox.colorme import (
    calendar,
    charges,
    judge,
    plan_file,
    shops,
    turning,
    walks,
    walkthroughs,
    witness,
    wording,
)
from storefront.sandbox.colorme.cast import BY_KEY
from storefront.sandbox.colorme.context import appstore
from storefront.sandbox.colorme.happened import Name
from storefront.sandbox.colorme.plan_file import PlanFile
from storefront.sandbox.colorme.reckoning import TO_NEXT_MONTH, Form
from storefront.sandbox.colorme.settings import AppStoreSettings
from storefront.sandbox.colorme.walks import Noted, Walk
from storefront.sandbox.colorme.walkthroughs import Walkthrough
from storefront.sandbox.happened import Shown
from storefront.sandbox.judging import Tick
from storefront.sandbox.language import N_

BOOK = "walkthroughs"  # of the app's extensions
TRIAL_DAYS = 10  # of the chapters' dates
UNSEEN = ("/desk", "/log", "/static")  # pages that are about a walk, and not of it
NOT_YET = N_("Nothing was noted: what is still missing, the store sees itself. Play the step first.")
CHAPTERS = {
    "installing": N_("Installing"),
    "trials": N_("Trials"),
    "collecting": N_("Collecting"),
    "inside": N_("Inside the app"),
}

blueprint = Blueprint("checklist", __name__)


@dataclass(frozen=True)
class Book:
    """All walkthroughs by name, and what is sold inside the app."""

    walkthroughs: Mapping[str, Walkthrough]
    sold: PlanFile


def init_app(app: Flask, settings: AppStoreSettings) -> None:
    """Read what there is to walk through; a broken file stops the store with its line and rule."""
    sold = plan_file.read(settings.plans, settings.catalog)
    app.extensions[BOOK] = Book({one.name: one for one in walkthroughs.read()}, sold)
    app.register_blueprint(blueprint)


@blueprint.context_processor
def _in_words() -> dict[str, Any]:
    return {"expected": wording.expected, "came": wording.came, "parts": BY_KEY}


@blueprint.after_app_request
def _see(response: Response) -> Response:
    """A page of the store that somebody is shown is part of the walk that is on."""
    is_page = request.method == "GET" and response.mimetype == "text/html"
    if is_page and not request.path.startswith(UNSEEN):
        witness.page(response, (request.view_args or {}).get("account"))
    return response


@blueprint.get("/desk/walkthroughs")
def index() -> ResponseReturnValue:
    """Every walkthrough, chapter by chapter."""
    return render_template(
        "sandbox/colorme/walkthroughs.html", chapters=list(_chapters()), walk=walks.current()
    )


@blueprint.get("/desk/walkthroughs.json")
def index_json() -> ResponseReturnValue:
    """The same for the robot: all that it plays, what this store has for it, and what is sold inside."""
    book = _book()
    return jsonify(
        has=_has(),
        items={name: item for name, (item, _) in _inside(book.sold).items()},
        chapters=[{"name": name, "title": gettext(title)} for name, title, _ in _chapters()],
        walkthroughs=[one.model_dump(mode="json", exclude_none=True) for one in book.walkthroughs.values()],
    )


@blueprint.get("/desk/walkthroughs/<name>")
def show(name: str) -> ResponseReturnValue:
    """One walkthrough: its rule, and what is done."""
    one = _book().walkthroughs.get(name) or abort(404)
    has = _has()
    lacking = [need for need in one.needs if not has.get(need, True)]
    return render_template("sandbox/colorme/walkthrough.html", one=one, lacking=lacking)


@blueprint.post("/desk/walkthroughs/<name>/begin")
def begin(name: str) -> ResponseReturnValue:
    """New shops on the walkthrough's first day: everything that was installed is uninstalled by hook."""
    one = _book().walkthroughs.get(name) or abort(404)
    walks.end()
    if not turning.begin_again(appstore(), date.fromisoformat(one.begins)):
        flash(N_("The calendar is being turned. Wait until it stands still."))
        return redirect(url_for(".show", name=name), 303)
    calendar.move(runs_daily=one.daily == "on")
    walk = walks.begin(
        name,
        people={shop.key: shop.account for shop in shops.on_stage()},
        plans={plan.form.value: dict(plan.amounts) for plan in reversed(charges.plans(published=True))},
        **{kind: yen for kind, (_, yen) in _inside(_book().sold).items()},
    )
    return redirect(url_for(".show_walk", number=walk.id), 303)


@blueprint.get("/desk/walks/<int:number>")
def show_walk(number: int) -> ResponseReturnValue:
    """How far it is: each step, and what is missing."""
    walk, one, told, ticks = _found(number)
    people = told[0].facts["people"] if told else {}
    return render_template(
        "sandbox/colorme/walk.html",
        walk=walk,
        one=one,
        account=people.get(one.who),
        steps=list(zip(one.steps, ticks, strict=True)),
        said={row.facts["step"] for row in judging.standing(told) if row.facts.get("said") in ("yes", "no")},
        verdict=judging.verdict(ticks, told),
        reason=judging.why_not(told),
    )


@blueprint.get("/desk/walks/<int:number>.json")
def show_walk_json(number: int) -> ResponseReturnValue:
    walk, _, told, ticks = _found(number)
    return jsonify(
        id=walk.id,
        name=walk.name,
        verdict=judging.verdict(ticks, told),
        reason=judging.why_not(told),
        steps=[asdict(tick) for tick in ticks],
        people=told[0].facts["people"] if told else {},
        happenings=walks.lines(told),
    )


@blueprint.post("/desk/walks/<int:number>/seen")
def seen(number: int) -> ResponseReturnValue:
    """Somebody says what they have seen: of a step, or on a page of the app."""
    walk, one, _, ticks = _found(number)
    step, said = request.form.get("step", ""), request.form.get("seen")
    is_step = step.isascii() and step.isdigit() and len(step) < 3 and int(step) < len(one.steps)
    if not is_step or not walk.is_on or (said is None) == ("facts" not in request.form):
        abort(400)
    if said is None:
        walks.write(Name.SEEN, request.form.get("account") or None, step=int(step), **_shown())
        return "", 204
    if said not in judging.SAID:
        abort(400)
    if said == "yes" and not ticks[int(step)].can_be_said:
        flash(NOT_YET)
        return redirect(url_for(".show_walk", number=number), 303)
    why = {"reason": request.form.get("reason", "")[:400]} if said == judging.NOT_APPLICABLE else {}
    walks.write(Name.SEEN, step=int(step), said=said, **why)
    _, _, told, ticks = _found(number)
    walks.keep(number, judging.verdict(ticks, told).value)
    return redirect(url_for(".show_walk", number=number), 303)


def _book() -> Book:
    book: Book = current_app.extensions[BOOK]
    return book


def _chapters() -> Iterator[tuple[str, str, Sequence[Walkthrough]]]:
    for name, found in groupby(_book().walkthroughs.values(), key=lambda one: one.chapter):
        yield name, CHAPTERS.get(name, name), list(found)


def _has() -> Mapping[str, bool]:
    """What this store has of what walkthroughs need."""
    settings = appstore().settings
    return {
        "trial": charges.listing().trial_days == TRIAL_DAYS,
        "daily": bool(settings.daily),
        "as-written": settings.first_period == TO_NEXT_MONTH,
        "parcel": any(plan.brings for plan in _book().sold.plans if plan.form is Form.MONTHLY),
    }


def _inside(sold: PlanFile) -> Mapping[str, tuple[str, int]]:
    """An option, and a piece that is taken on account: which item, and what it costs before tax."""
    options = [("option", (one.item, one.yen)) for one in sold.options[:1]]
    return dict([*options, *(("piece", one) for one in list(sold.metered.items())[:1])])


def _found(number: int) -> tuple[Walk, Walkthrough, Sequence[Noted], Sequence[Tick]]:
    walk = walks.by_id(number) or abort(404)
    one = _book().walkthroughs.get(walk.name) or abort(404)
    told = walks.told(number)
    return walk, one, told, judge.judge(one, told)


def _shown() -> dict[str, Any]:
    try:
        return Shown.model_validate_json(request.form["facts"]).model_dump()
    except ValidationError:
        abort(400)
