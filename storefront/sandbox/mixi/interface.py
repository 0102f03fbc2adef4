"""The point interface: here the buyer decides, and sees first what happened to the money."""

from collections.abc import Sequence
from datetime import datetime
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox import clock, form_tokens, people, stage, weather
from storefront.sandbox.context import sandbox
from storefront.sandbox.devices import Device
from storefront.sandbox.happened import Name
from storefront.sandbox.happenings import note
from storefront.sandbox.language import N_, language
from storefront.sandbox.mixi import caller, payments, topups
from storefront.sandbox.mixi.addresses import App
from storefront.sandbox.mixi.payments import Payment, Question, Status
from storefront.sandbox.people import User
from storefront.sandbox.stage import Stage

# What can be bought at the top-up counter; the platform's own steps are unknown, these are ours.
TOP_UPS = (100, 300, 500, 1000, 3000, 5000, 10000)
CHOICES = 3
POLL_SECONDS = 0.1
LOOK_AGAIN = "2"  # seconds
# The screens that say how it went, and lead back.
RESULTS = ("bought", "cancelled", "failed", "paid_back")
NO_LINK = "screen.no_link"

blueprint = Blueprint("interface", __name__, url_prefix="/point")


class Closed(Exception):
    """This browser may not see the payment screen; the message says why, in a text of the catalogue."""


class Expired(Exception):
    """The payment screen was left open too long."""


class Maintenance(Exception):
    """The platform is closed."""


@blueprint.get("/<token>")
def show(token: str) -> ResponseReturnValue:
    """The screen this payment is at."""
    payment, user = _admitted(token, arriving=True)
    missing = _missing(payment)
    screen = _screen(payment, missing)
    note(user.stage_id, Name.SCREEN_SHOWN, **_about(payment), screen=screen)
    page = render_template(f"sandbox/point/{screen}.html", **_shown(payment, user, screen, missing))
    return (page, {"Refresh": LOOK_AGAIN}) if screen == "asking" else page


@blueprint.post("/<token>/buy")
def buy(token: str) -> ResponseReturnValue:
    """The buyer wants it: ask the app, then show what came of it."""
    return _decide(token, Question.BUY)


@blueprint.post("/<token>/cancel")
def cancel(token: str) -> ResponseReturnValue:
    """The buyer does not want it: tell the app, then show what came of it."""
    return _decide(token, Question.CANCEL)


@blueprint.post("/<token>/top-up")
def top_up(token: str) -> ResponseReturnValue:
    """Add points, and go on with the same purchase."""
    payment, user = _admitted(token)
    form_tokens.check()
    means = _means(user, payment)
    points = request.form.get("points", 0, type=int)
    if points not in TOP_UPS or not means or request.form.get("means", means[0]) not in means:
        abort(400)
    if payment.status is Status.CREATE:
        people.top_up(user, points)
        note(user.stage_id, Name.TOPPED_UP, **_about(payment), points=points)
    return redirect(url_for(".show", token=token), 303)


@blueprint.errorhandler(Closed)
def _closed(closed: Closed) -> ResponseReturnValue:
    return render_template("sandbox/point/closed.html", why=str(closed)), 403


@blueprint.errorhandler(Expired)
def _expired(_expired: Expired) -> ResponseReturnValue:
    return render_template("sandbox/point/expired.html", app_url=_shelf()), 410


@blueprint.errorhandler(Maintenance)
def _maintenance(_maintenance: Maintenance) -> ResponseReturnValue:
    return render_template("sandbox/point/maintenance.html"), 503


def _about(payment: Payment) -> dict[str, Any]:
    return {"owner_id": payment.owner_id, "point_code": payment.code, "device": people.hand()}


def _decide(token: str, question: Question) -> ResponseReturnValue:
    payment, _ = _admitted(token)
    form_tokens.check()
    platform = sandbox()
    if question is Question.BUY and payment.points > _most():
        return redirect(url_for(".show", token=token), 303)
    if not caller.ask(platform, stage.current(), payment, question):
        _wait(payment, platform.settings.callback_seconds + 1)
    return redirect(url_for(".show", token=token), 303)


def _wait(payment: Payment, seconds: float) -> None:
    """Another press is asking the app: stay until it knows, but not for ever."""
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        latest = payments.by_code(payment.code)
        if latest is None or not payments.is_asking(latest, _waits(), real=clock.now()):
            return
        sleep(POLL_SECONDS)


def _admitted(token: str, *, arriving: bool = False) -> tuple[Payment, User]:
    payment, user, on = payments.by_token(token), people.visitor(), stage.current()
    now = on.now()
    whose, which = user.owner_id if user else None, payment.code if payment else None
    if weather.take(on, "platform.maintenance", whose, which):
        raise Maintenance
    if payment is None:
        raise Closed(N_("There is no payment at this address."))
    is_elsewhere = user is not None and payment.entered and user.stage_id != payment.stage_id
    if user is None or user.owner_id != payment.owner_id or is_elsewhere:
        raise Closed(N_("This payment belongs to someone else's phone."))
    if not payment.entered:
        # The container's redirect enters a mobile phone. Other browsers come straight from the app, and
        # nobody sees by what; that their first look counts as the redirect is ours.
        if not (arriving and people.hand().on_own_domain):
            raise Closed(N_("This screen opens only when the app sends you here by a redirect."))
        payments.enter(token, user, now, _waits())
        payment = payments.by_token(token) or payment
    if payment.status is Status.CREATE and (payment.expires_at <= now or _expires(on, payment, now)):
        note(on.id, Name.SCREEN_SHOWN, **_about(payment), screen="expired")
        raise Expired
    payments.renew(payment.code, now, _waits())
    people.use(user, now)
    return payment, user


def _expires(on: Stage, payment: Payment, now: datetime) -> bool:
    """Whether weather lets the time of this screen be up, once and for all."""
    if not weather.take(on, "screen.expired", payment.owner_id, payment.code):
        return False
    payments.expire(payment, now)
    return True


def _screen(payment: Payment, missing: int) -> str:
    if payment.status is not Status.CREATE:
        return {Status.COMPLETE: "bought", Status.PAY_BACK: "paid_back", Status.CANCEL: "cancelled"}[
            payment.status
        ]
    if payments.is_asking(payment, _waits(), real=clock.now()):
        return "asking"
    if payment.points > _most():
        return "too_much"
    if payment.refused is not None and "again" not in request.args:
        return "failed"
    return "shortage" if missing > 0 else "confirm"


def _shown(payment: Payment, user: User, screen: str, missing: int) -> dict[str, object]:
    device, settings = people.hand(), sandbox().settings
    means = _means(user, payment) if screen == "shortage" else ()
    return {
        "payment": payment,
        "user": user,
        "app_name": settings.app_called(language()),
        "device": device,
        "most": _most(),
        "most_on_pc": settings.most(Device.PC),
        "missing": missing,
        "means": means or (),
        "no_top_up": means is None,
        "top_ups": [points for points in TOP_UPS if points >= missing][:CHOICES] or TOP_UPS[-1:],
        "finish_url": None if screen in RESULTS and _loses_link(payment) else _finish(payment),
    }


def _missing(payment: Payment) -> int:
    """The points that its buyer lacks to pay it; of what is decided nobody lacks any."""
    if payment.status is not Status.CREATE:
        return 0
    return payment.charged - payments.free(payment, _waits(), real=clock.now())


def _finish(payment: Payment) -> str:
    bought = payment.status in (Status.COMPLETE, Status.PAY_BACK)
    # Which status a failed purchase carries back is unpublished; that it is the one of a cancel is ours.
    status = Question.BUY if bought else Question.CANCEL
    url = f"{payment.finish_url}?point_code={payment.code}&status={int(status)}"
    return url if people.hand().on_own_domain else _app().page(url)


def _shelf() -> str:
    """Where the app begins, on the device in the hand; on its own domain a visit may still be open."""
    device = people.hand()
    if not device.on_own_domain:
        return _app().page(_app().start())
    start = urlsplit(sandbox().settings.start_address(device))
    return f"{start.scheme}://{start.netloc}/"


def _loses_link(payment: Payment) -> bool:
    """Whether weather takes the link back from the result of this payment; then it stays away."""
    if NO_LINK in payment.weather.split(","):
        return True
    if not weather.take(stage.current(), NO_LINK, payment.owner_id, payment.code):
        return False
    payments.touch(payment, NO_LINK)
    return True


def _means(user: User, payment: Payment) -> Sequence[topups.Means] | None:
    """What this user can choose from to obtain points here and now; None while that is closed."""
    if weather.take(stage.current(), "topup.maintenance", user.owner_id, payment.code):
        return None
    return topups.offered(people.hand(), user.persona.carrier)


def _most() -> int:
    return sandbox().settings.most(people.hand())


def _app() -> App:
    settings = sandbox().settings
    return App(settings.app_id, settings.shop_url, settings.public_url)


def _waits() -> payments.Waits:
    return caller.waits(sandbox().settings)
