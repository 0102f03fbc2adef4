"""The calendar's page, and the weather's: what time it is at the store, and what goes wrong there."""

from datetime import date, datetime

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox.colorme import calendar, diary, shops, turning, weather
from storefront.sandbox.colorme.context import appstore
from storefront.sandbox.colorme.reckoning import DAY
from storefront.sandbox.language import N_

# Days of the list on one page.
DAYS = 31

blueprint = Blueprint("almanac", __name__)


@blueprint.get("/calendar")
def show() -> ResponseReturnValue:
    """Where the calendar stands, how to turn it, and what happened day by day."""
    standing, now = calendar.standing(), calendar.now()
    last = _day(request.args.get("until", "")) or now.date()
    first = max(last - (DAYS - 1) * DAY, standing.began_at.astimezone(calendar.JAPAN).date())
    entries = diary.entries(calendar.midnight(first), calendar.midnight(last + DAY))
    days: dict[date, list[diary.Happening]] = {}
    for one in reversed(entries):
        days.setdefault(one.at.astimezone(calendar.JAPAN).date(), []).insert(0, one)
    return render_template(
        "sandbox/colorme/calendar.html",
        now=now,
        calendar=standing,
        days=days,
        first=first,
        last=last,
        earlier=first - DAY if first > standing.began_at.astimezone(calendar.JAPAN).date() else None,
        steps=turning.STEPS,
        shops={shop.account: shop for shop in shops.on_stage()},
        latest=now.date() + turning.LONGEST - DAY,
    )


@blueprint.get("/calendar.json")
def moment() -> ResponseReturnValue:
    """What time it is here, for the app to ask."""
    return {"now": calendar.now().isoformat()}


@blueprint.post("/calendar")
def turn() -> ResponseReturnValue:
    """Forward by a step, or to a day's noon."""
    now = calendar.now()
    target = _target(now)
    if target is None or not now < target <= now + turning.LONGEST:
        flash(N_("The calendar goes forward only, and at most 400 days at a time."))
    elif not turning.turn(appstore(), target):
        flash(N_("The calendar is being turned already."))
    return redirect(url_for(".show"), 303)


@blueprint.post("/calendar/daily")
def switch_daily() -> ResponseReturnValue:
    """The app's cron goes down, or comes back."""
    if request.form.get("daily") not in ("on", "off"):
        abort(400)
    calendar.move(runs_daily=request.form["daily"] == "on")
    return redirect(url_for(".show"), 303)


@blueprint.post("/calendar/again")
def again() -> ResponseReturnValue:
    """Uninstall everything by hook, and open new shops on the first day."""
    if turning.begin_again(appstore()):
        flash(N_("Everything was uninstalled by hook. These are new shops, on the first day."))
    else:
        flash(N_("The calendar is being turned. Wait until it stands still."))
    return redirect(url_for("views.home"), 303)


@blueprint.get("/weather")
def sky() -> ResponseReturnValue:
    """What goes wrong, and what may be let go wrong."""
    return render_template(
        "sandbox/colorme/weather.html",
        places=weather.PLACES,
        kinds=weather.KINDS,
        weather=weather.standing(),
        shops={shop.account: shop for shop in shops.on_stage()},
        most=weather.MOST,
        most_seconds=weather.MOST_SECONDS,
    )


@blueprint.post("/weather")
def come() -> ResponseReturnValue:
    """Let it come, for the next so many."""
    kind, account = request.form.get("kind", ""), request.form.get("account", "")
    place, _, what = kind.partition(".")
    times = _whole(request.form.get("times", "1"), weather.MOST)
    seconds = _whole(request.form.get("seconds", "1"), weather.MOST_SECONDS)
    if what not in weather.KINDS.get(place, ()) or not times or not seconds:
        abort(400)
    if account and shops.find(account) is None:
        abort(400)
    weather.come(kind, times, seconds, account or None)
    return redirect(url_for(".sky"), 303)


@blueprint.post("/weather/<int:number>")
def go(number: int) -> ResponseReturnValue:
    """Let it go."""
    weather.go(number)
    return redirect(url_for(".sky"), 303)


def _target(now: datetime) -> datetime | None:
    if step := turning.STEPS.get(request.form.get("step", "")):
        return step[1](now)
    day = _day(request.form.get("day", ""))
    return calendar.at(day) if day else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _whole(text: str, most: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    return number if number <= most else 0
