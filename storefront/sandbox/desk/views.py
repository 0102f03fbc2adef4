"""The pages of the desk. A GET changes nothing."""

from datetime import timedelta
from itertools import groupby

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue

from storefront.sandbox import clock, happenings, people, stage, walks, weather
from storefront.sandbox.context import sandbox
from storefront.sandbox.desk.wording import HAPPENED, facts
from storefront.sandbox.devices import Device
from storefront.sandbox.kinds import KINDS, Call, Kind, Where
from storefront.sandbox.language import N_
from storefront.sandbox.mixi import payments
from storefront.sandbox.mixi.caller import waits
from storefront.sandbox.mixi.resend import FAULTS
from storefront.sandbox.pages import MOST_NUMBER

RECENT = 12
SOON, LATER = 2, 10  # seconds until the live part is loaded again
LIVELY = timedelta(minutes=1)
# What is wanted most, for who has set none yet.
FAVOURITES = {
    "callback.lost": N_("Lose the next answer to a callback"),
    "api.down": N_("Cut the next call of the point API"),
    "callback.queued": N_("Let the next callback wait in a queue"),
}
DAY = 86_400

blueprint = Blueprint("desk", __name__)


@blueprint.get("/desk")
def show() -> ResponseReturnValue:
    """Everything about this stage, as one column."""
    on = stage.current()
    return render_template(
        "sandbox/desk/show.html",
        stage=on,
        walk=walks.on(on),
        people=people.everyone(on.id),
        payments=payments.recent(on.id, RECENT),
        devices=list(Device),
        faults=FAULTS,
        favourites=FAVOURITES,
        day=DAY,
        **_weather(),
    )


@blueprint.get("/desk/side")
def side() -> ResponseReturnValue:
    """The phone and the desk beside each other; where there is no room for that, below each other."""
    return render_template("sandbox/desk/side.html")


@blueprint.get("/desk/phone")
def phone() -> ResponseReturnValue:
    """The phone before anybody has opened the app on it: dark."""
    on = stage.current()
    return render_template("sandbox/desk/phone.html", people=people.everyone(on.id))


@blueprint.get("/desk/live")
def live() -> ResponseReturnValue:
    """What just happened. It looks again by itself, unless it is paused."""
    on, now = stage.current(), clock.now()
    latest, newest = happenings.newest(on.id, RECENT), payments.recent(on.id, RECENT)
    times = waits(sandbox().settings)
    lively = any(payments.is_asking(one, times, real=now) for one in newest) or (
        bool(latest) and now - latest[0].at < LIVELY
    )
    paused = "pause" in request.args
    page = render_template(
        "sandbox/desk/live.html",
        stage=on,
        latest=latest,
        names={user.owner_id: user.persona.name for user in people.everyone(on.id)},
        happened=HAPPENED,
        facts=facts,
        paused=paused,
    )
    response = make_response(page)
    if not paused:
        response.headers["Refresh"] = str(SOON if lively else LATER)
    return response


@blueprint.get("/desk/weather")
def show_weather() -> ResponseReturnValue:
    """All weather there is, and a form that sets it in every detail."""
    on = stage.current()
    return render_template(
        "sandbox/desk/weather.html",
        stage=on,
        people=people.everyone(on.id),
        payments=payments.recent(on.id, RECENT),
        calls=list(Call),
        chosen=request.args.get("kind"),
        **_weather(),
    )


@blueprint.get("/desk/happenings.json")
def told() -> ResponseReturnValue:
    """What happened on this stage after a happening that is known."""
    after = min(request.args.get("after", 0, type=int), MOST_NUMBER)
    rows = happenings.since(stage.current().id, after)
    return [
        {
            "id": row.id,
            "at": row.at.isoformat(),
            "name": row.name.value,
            "owner_id": row.owner_id,
            "point_code": row.point_code,
            "device": row.device and row.device.value,
            "facts": row.facts,
            "wire": row.wire_id and f"/log/{row.wire_id}",
        }
        for row in rows
    ]


def _weather() -> dict[str, object]:
    """The kinds by where they strike, what is set, and what cannot be set here and why."""
    kinds: list[tuple[Where, list[Kind]]] = [
        (where, list(group)) for where, group in groupby(KINDS.values(), key=lambda kind: kind.where)
    ]
    return {"kinds": kinds, "standing": weather.standing(stage.current()), "away": _away()}


def _away() -> set[Where]:
    """Where weather cannot strike here: nobody is told who could do it."""
    settings = sandbox().settings
    told = {Where.PROVIDER: settings.provider_url, Where.MACHINE: settings.machine_url}
    return {where for where, url in told.items() if not url}
