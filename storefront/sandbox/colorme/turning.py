"""Turning the calendar: from stop to stop, forward only, each with its work; or everything begins again."""

import shlex
import subprocess
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from threading import Thread
from typing import Protocol

import structlog
from flask import Flask, current_app
from sqlalchemy import delete

from storefront.sandbox.colorme import calendar, diary, hooks, installing, midnight, shops, weather
from storefront.sandbox.colorme.calendar import JAPAN, ONE, Calendar
from storefront.sandbox.colorme.context import AppStore
from storefront.sandbox.colorme.contracts import Contract, Reason
from storefront.sandbox.colorme.diary import Happening, Letter, Mood
from storefront.sandbox.colorme.reckoning import DAY, month_of
from storefront.sandbox.colorme.store import reading, transaction
from storefront.sandbox.language import N_

LONGEST = timedelta(days=400)  # at a time
DAILY_AT = (time(0, 30), time(23, 30))  # of the app's own work
DAILY_SECONDS = 120
MOST_SAID = 300
log = structlog.get_logger()


class Steps(Protocol):
    def __call__(self, now: datetime) -> datetime: ...


STEPS: dict[str, tuple[str, Steps]] = {
    "hour": (N_("1 hour"), lambda now: _whole(now) + timedelta(hours=1)),
    "day": (N_("1 day"), lambda now: _whole(now) + timedelta(days=1)),
    "first": (N_("To the 1st"), lambda now: _noon_of(now, 1)),
    "ninth": (N_("To the 9th"), lambda now: _noon_of(now, 9)),
    "tenth": (N_("To the 10th"), lambda now: _noon_of(now, 10)),
    "trial": (N_("To the end of a trial"), lambda now: _trial_end(now) or now),
    "month": (N_("To the month's last day"), lambda now: _month_end(now)),
}


def open_house(begins: date) -> None:
    """A calendar and shops, if there are none yet; whatever we stopped in the middle of is over."""
    with transaction() as session:
        if session.get(Calendar, ONE) is None:
            start = calendar.at(begins)
            session.add(Calendar(id=ONE, at=start, began_at=start))
            shops.open_all(session)
        standing = session.get_one(Calendar, ONE)
        standing.target = standing.turned_from = None


def turn(store: AppStore, target: datetime) -> bool:
    """Set out for this moment, and wait for a while; False if the calendar is being turned already."""
    now = calendar.now()
    if not now < target <= now + LONGEST or not store.turning.acquire(blocking=False):
        return False
    calendar.move(turned_from=now, target=target)
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    thread = Thread(target=_turn, args=(app, store, target), daemon=True)
    thread.start()
    thread.join(store.settings.page_seconds)
    return True


def begin_again(store: AppStore, begins: date | None = None) -> bool:
    """Uninstall everything by hook, then open new shops on a first day; False while the calendar turns."""
    if not store.turning.acquire(blocking=False):
        return False
    try:
        weather.go()
        for contract in installing.standing():
            installing.uninstall(store, contract, Reason.OWNER)
        start = calendar.at(begins or store.settings.begins)
        with transaction() as session:
            session.execute(delete(hooks.Hook))
            session.execute(delete(Happening))
            session.execute(delete(Letter))
            shops.open_all(session)
        calendar.move(at=start, began_at=start, runs_daily=True)
    finally:
        store.turning.release()
    return True


def _turn(app: Flask, store: AppStore, target: datetime) -> None:
    with app.app_context():
        try:
            while (now := calendar.now()) < target:
                _stop(store, _next_stop(store, now, target))
        except Exception:  # a thread's end is seen by nobody else
            log.exception("the calendar stopped")
        finally:
            with suppress(Exception):
                calendar.move(target=None, turned_from=None)
            store.turning.release()


def _next_stop(store: AppStore, now: datetime, target: datetime) -> datetime:
    day = now.date()
    stops = [calendar.midnight(day + DAY), target]
    if _runs_daily(store):
        stops += [calendar.at(one, hour) for one in (day, day + DAY) for hour in DAILY_AT]
    due = hooks.next_due()
    stops += [due.astimezone(JAPAN)] if due else []
    return min(stop for stop in stops if stop > now)


def _stop(store: AppStore, moment: datetime) -> None:
    calendar.move(at=moment)
    if moment.time() == time(0):
        midnight.strike(store, moment.date())
    hooks.send_due(store)
    if _runs_daily(store) and moment.time() in DAILY_AT:
        _run_daily(store, moment)


def _runs_daily(store: AppStore) -> bool:
    return bool(store.settings.daily) and calendar.standing().runs_daily


def _run_daily(store: AppStore, moment: datetime) -> None:
    """Run what the app runs by cron, and write down how it ended where it did not end well."""
    try:
        done = subprocess.run(  # noqa: S603  # our own setting
            shlex.split(store.settings.daily), capture_output=True, text=True, timeout=DAILY_SECONDS
        )
        ended, said = done.returncode, (done.stderr or done.stdout).strip()[-MOST_SAID:]
    except (OSError, subprocess.TimeoutExpired) as error:
        ended, said = -1, str(error)[:MOST_SAID]
    if ended:
        text = N_("The app's daily work ended with %(ended)s: %(said)s")
        with transaction() as session:
            diary.note(session, moment, text, {"ended": ended, "said": said}, mood=Mood.BAD)


def _whole(now: datetime) -> datetime:
    return now.replace(second=0)


def _noon_of(now: datetime, number: int) -> datetime:
    """Noon of the next day with this number."""
    day = now.date() + DAY
    while day.day != number:
        day += DAY
    return calendar.at(day)


def _month_end(now: datetime) -> datetime:
    last = month_of(now.date()).last
    return calendar.at(last if last > now.date() else month_of(last + DAY).last)


def _trial_end(now: datetime) -> datetime | None:
    """Noon of the last day of the trial that ends next."""
    ends = []
    for contract_id in installing.standing():
        with reading() as session:
            contract = session.get_one(Contract, contract_id)
        if contract.trial and contract.trial.last > now.date():
            ends.append(contract.trial.last)
    return calendar.at(min(ends)) if ends else None
