"""Which day it is for contracts and money: the system clock's, or that of a calendar that can be turned.

Sessions, forms and signatures keep real time.
"""

from datetime import UTC, date, datetime
from typing import Any

import requests
from flask import g, has_request_context
from urllib3.exceptions import HTTPError

from storefront import clock, strict_json
from storefront.bounded import TooLarge, read
from storefront.clock import Deadline
from storefront.colorme.channel import channel
from storefront.colorme.settings import settings

MOST_BYTES = 1024
EARLIEST, LATEST = (datetime(year, 1, 1, tzinfo=UTC) for year in (1970, 3000))  # as the store may say at all
PLAIN = {"Accept-Encoding": "identity"}


class NoCalendar(Exception):
    """The configured calendar does not say which day it is; the system clock's would be another."""


def now() -> datetime:
    """This moment, aware; one for all of a request."""
    if not settings().colorme_calendar_url:
        return clock.now()
    if not has_request_context():
        return _asked()
    if "calendar" not in g:
        g.calendar = _asked()
    moment: datetime = g.calendar
    return moment


def today() -> date:
    """The day in Japan."""
    return clock.day(now())


def _asked() -> datetime:
    """What the calendar says, or NoCalendar."""
    timeouts, deadline = channel().timeouts, Deadline.after(channel().timeouts.total)
    try:
        with channel().http.get(
            settings().colorme_calendar_url,
            headers=PLAIN,
            timeout=timeouts.within(),
            allow_redirects=False,
            stream=True,
        ) as answer:
            said: Any = strict_json.read(read(answer, deadline.left(), MOST_BYTES)) if answer.ok else None
            moment = datetime.fromisoformat(said["now"])
    except (requests.RequestException, HTTPError, OSError, TooLarge) as error:
        raise NoCalendar(type(error).__name__) from error
    except (ValueError, TypeError, KeyError) as error:
        raise NoCalendar("it says no moment") from error
    if moment.tzinfo is None:
        raise NoCalendar("it says no zone")
    if not EARLIEST <= moment < LATEST:
        raise NoCalendar("it says a moment of no contract")
    return moment
