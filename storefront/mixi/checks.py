"""What the doctor looks at for this counter: its addresses and certificates, its payments, mixi's clock."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import requests

from storefront import clock
from storefront.clock import SKEW_SECONDS
from storefront.config import PREFIX, names
from storefront.doctor import wire
from storefront.findings import Finding, count, fail, ok, warn
from storefront.mixi import questions
from storefront.mixi.certificates import TIMEOUTS, Published
from storefront.mixi.channel import EVERYBODY, channel
from storefront.mixi.client import Unavailable, fetch
from storefront.mixi.outstanding import unconfirmed
from storefront.mixi.payments import LISTENS
from storefront.mixi.settings import MixiSettings

NO_KEY = "storefront-doctor"  # a name that mixi has no key by
OVERDUE = timedelta(days=1)  # the finish page, moments after a purchase, confirms all but a few
# A callback is in vain once its timestamp is ten seconds old; two of them are for the work.
WORK_SECONDS = 2.0


def addresses(settings: MixiSettings, http: requests.Session) -> Iterator[Finding]:
    yield ok("callback", f"{channel().callback_url}/…, with a word of its own for each payment")
    yield ok("finish", channel().finish_url)
    parts = urlsplit(settings.mixi_container_url)
    if names(settings.mixi_container_url).isdisjoint(settings.mixi_platform_hosts):
        yield warn(
            "container",
            f"{parts.netloc} is not in {PREFIX}MIXI_PLATFORM_HOSTS",
            "check that both name the same platform",
        )
    elif settings.mixi_app_id not in parts.path.split("/"):
        found = f"{settings.mixi_container_url} is another app's than {settings.mixi_app_id}"
        yield warn("container", found, f"check it against {PREFIX}MIXI_APP_ID")
    else:
        yield ok("container", f"{parts.netloc} is one of the platform's hosts, and the app is this one")


def threads(settings: MixiSettings, http: requests.Session) -> Iterator[Finding]:
    """Whether a callback always finds a thread that does not wait for mixi."""
    found = f"{settings.mixi_calls_at_once} of {settings.threads} may wait for mixi at once"
    if 4 * settings.mixi_calls_at_once > settings.threads:  # half as many more wait for their turn
        names = f"{PREFIX}MIXI_CALLS_AT_ONCE to at most a quarter of {PREFIX}THREADS"
        yield warn("threads", found, f"set {names}, or callbacks may find none")
    else:
        yield ok("threads", found)


def certificates(settings: MixiSettings, http: requests.Session) -> Iterator[Finding]:
    rings = channel().certificates
    if settings.mixi_certificate_url:
        yield from (_published(name, ring) for name, ring in rings.items())
    elif all(rings.values()):
        yield ok("certificates", f"held for {', '.join(rings)}")
    else:
        lacking = ", ".join(name for name, ring in rings.items() if not ring)
        found = f"none of mixi's for {lacking}: what it signs there is refused"
        yield warn("certificates", found, f"add them to {PREFIX}MIXI_CERTIFICATES as channel:name=path")


def _published(name: str, ring: Published) -> Finding:
    """Whether somebody answers where a channel's certificates are, be it that there is none of this name."""
    address = ring.address.replace("{name}", NO_KEY)
    try:
        fetch(ring.transport, address, TIMEOUTS)
    except Unavailable as failure:
        why, advice = wire.unheard(failure.__cause__ or failure)
        found = f"{address} cannot be fetched ({why if failure.__cause__ else failure})"
        correct = f"open the way out, or correct {PREFIX}MIXI_CERTIFICATE_URL"
        return fail("certificates", found, advice or correct)
    return ok("certificates", f"for {name} there is an answer at {ring.address}")


def outstanding(settings: MixiSettings, http: requests.Session) -> Iterator[Finding]:
    show = "see `storefront outstanding`"
    waiting = unconfirmed()
    overdue = [one for one in waiting if one.payment.ok_at and one.payment.ok_at < clock.now() - OVERDUE]
    removed = [one for one in waiting if one.removed_at]
    yield count("unconfirmed", len(overdue), "payments that mixi has not confirmed for more than a day", show)
    yield count("removed", len(removed), "unconfirmed payments of buyers who removed the app", show)


def tests(settings: MixiSettings, http: requests.Session) -> Iterator[Finding]:
    """Whether shop and mixi agree on which purchases are tests, as far as the shop can know."""
    name = f"{PREFIX}MIXI_TEST_OWNERS"
    found = questions.tests_found(clock.now() - OVERDUE)
    if EVERYBODY in settings.mixi_test_owners:
        yield warn("tests", "every purchase is one", f"take {EVERYBODY} out of {name} when the app is public")
    elif found:
        what = f"{found} purchases of the last day were booked as sales and were tests at mixi"
        yield warn("tests", what, f"while the app is in development there, set {name}={EVERYBODY}")
    else:
        yield ok("tests", "no sale of the last day was a test at mixi")


def platform_clock(settings: MixiSettings, http: requests.Session) -> Iterator[Finding]:
    parts = urlsplit(settings.mixi_point_url)
    address = f"{parts.scheme}://{parts.netloc}/"
    before = clock.now()
    try:
        with http.head(address, timeout=wire.TIMEOUTS.within(), allow_redirects=False) as answer:
            after, stamp = clock.now(), answer.headers.get("Date", "")
    except wire.UNREACHABLE as error:
        why, advice = wire.unheard(error)
        correct = f"open the way out, or correct {PREFIX}MIXI_POINT_URL"
        found = f"{address} does not answer ({why})"
        yield fail("platform", found, f"no payment can be made without it: {advice or correct}")
        return
    theirs = wire.moment_of(stamp)
    if theirs is None:
        yield warn("platform", f"{address} sends no Date", "compare our clock with a time server by hand")
        return
    # A Date names a whole second; on average it is half over.
    off = clock.seconds_off(theirs + timedelta(seconds=0.5), before, after)
    found, advice = f"the clock of {address} is {off:+.1f} s from ours", "let this host ask a time server"
    if abs(off) > settings.mixi_clock_skew + LISTENS - WORK_SECONDS:
        yield fail("platform", found, f"{advice}: callbacks would be refused as late or badly signed")
    elif off > settings.mixi_clock_skew and abs(off) > SKEW_SECONDS:
        more = f"or raise {PREFIX}MIXI_CLOCK_SKEW: start addresses would be refused as signed in the future"
        yield fail("platform", found, f"{advice}, {more}")
    elif abs(off) > SKEW_SECONDS:
        yield warn("platform", found, advice)
    else:
        yield ok("platform", found)


def confirming(settings: MixiSettings, http: requests.Session) -> Iterator[Finding]:
    parts = urlsplit(settings.mixi_confirm_url)
    address = f"{parts.scheme}://{parts.netloc}/"
    if settings.mixi_point_url.startswith(address):
        return  # that has been asked
    try:
        with http.head(address, timeout=wire.TIMEOUTS.within(), allow_redirects=False):
            yield ok("confirming", f"{address} answers")
    except wire.UNREACHABLE as error:
        why, advice = wire.unheard(error)
        found = f"{address} does not answer ({why})"
        yield fail("confirming", found, advice or f"open the way out, or correct {PREFIX}MIXI_CONFIRM_URL")
