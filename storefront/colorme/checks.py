"""What the doctor looks at for this counter: the day, plans against goods, hooks' address, what is open."""

from collections.abc import Iterator

import requests

from storefront import clock
from storefront.colorme import calendar, outstanding, plan_file, plans
from storefront.colorme.calendar import NoCalendar
from storefront.colorme.channel import channel
from storefront.colorme.plan_file import PlanFileError
from storefront.colorme.settings import NAME, ColormeSettings
from storefront.config import HOUR, PREFIX, is_here, is_private
from storefront.db import db
from storefront.findings import Finding, count, fail, ok, warn


def hooks(settings: ColormeSettings, http: requests.Session) -> Iterator[Finding]:
    """The addresses to register at the store, which has to reach them."""
    if not settings.colorme_is_open:
        return
    found = f"{settings.public_url}/{NAME}/install and …/uninstall; settings page {channel().start_url}"
    if is_here(settings.public_url) and not is_here(settings.colorme_api_url):
        yield fail("hooks", f"{found}: on this machine", f"Color Me cannot reach it: set {PREFIX}PUBLIC_URL")
    elif not is_private(settings.public_url):
        yield warn("hooks", found, f"let {PREFIX}PUBLIC_URL be https: a code for a token comes back there")
    else:
        yield ok("hooks", found)


def threads(settings: ColormeSettings, http: requests.Session) -> Iterator[Finding]:
    """Whether those who wait for a slow store leave threads to other counters."""
    if not settings.colorme_is_open:
        return
    found = f"{settings.colorme_calls_at_once} of {settings.threads} may wait for the store at once"
    if 4 * settings.colorme_calls_at_once > settings.threads:
        names = f"{PREFIX}COLORME_CALLS_AT_ONCE to at most a quarter of {PREFIX}THREADS"
        yield warn("store", found, f"set {names}, or others' callbacks may find none")
    else:
        yield ok("store", found)


def day(settings: ColormeSettings, http: requests.Session) -> Iterator[Finding]:
    """Which day this counter goes by."""
    if not settings.colorme_is_open:
        return
    try:
        now = calendar.now()
    except NoCalendar as error:
        found = f"{settings.colorme_calendar_url} does not say which day it is ({error})"
        yield fail("calendar", found, f"start it, or take {PREFIX}COLORME_CALENDAR_URL out")
        return
    if settings.colorme_calendar_url:
        yield warn(
            "calendar", f"it is {clock.day(now)} by a calendar that can be turned", "for trying out only"
        )
    else:
        yield ok("calendar", f"it is {clock.day(now)} in Japan")


def closing(settings: ColormeSettings, http: requests.Session) -> Iterator[Finding]:
    """Whether an hourly run meets every period between the close of its count and its end."""
    if not settings.colorme_is_open:
        return
    minutes = settings.colorme_closing_minutes
    found = f"the count of a period closes {minutes} minutes before its end"
    if 60 * minutes < HOUR:
        advice = f"run `storefront daily` within them, or set {PREFIX}COLORME_CLOSING_MINUTES to {HOUR // 60}"
        yield warn("closing", f"{found}; what is reported later is billed with the next", advice)
    else:
        yield ok("closing", found)


def plans_on_offer(settings: ColormeSettings, http: requests.Session) -> Iterator[Finding]:
    """Whether what is offered is what the file says, and every item with a price can be had."""
    if not settings.colorme_is_open:
        return
    offered = plans.current()
    try:
        prices = plans.prices(db.session())
        said = plan_file.read(settings.colorme_plans, prices)
    except PlanFileError as error:
        first = str(error).splitlines()[0]
        yield fail(
            "plans", f"the plan file is refused: {first}", "`storefront plans --check` names each line"
        )
        return
    if said != offered:
        yield warn("plans", "the plan file says others than are offered", "run `storefront upgrade`")
    else:
        yield ok("plans", f"{len(offered.plans)} plans, {len(offered.options)} options as in the file")
    sold = {option.item for option in offered.options.values()} | offered.metered
    idle = sorted(item for item, yen in prices.items() if yen is not None and item not in sold)
    if idle:
        advice = "make each an option, or metered, in the plan file"
        yield warn("plans", f"no plan sells {', '.join(idle)}, which have a price here", advice)


def open_cases(settings: ColormeSettings, http: requests.Session) -> Iterator[Finding]:
    if not settings.colorme_is_open:
        return
    show = "see `storefront outstanding`"
    yield count(
        "charges", outstanding.count_unknown(), "charges of which nobody knows whether they were made", show
    )
    waiting = outstanding.count_without_token()
    yield count("waiting usage", waiting, "usage reports without a token to send them with", show)
    yield count("lost usage", outstanding.count_lost(), "usage reports that Color Me takes no more", show)
    yield count("installs", outstanding.count_unconfirmed(), "installs whose owner has not come in", show)
