"""The kinds of weather: what can go wrong on purpose, and where. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from storefront.sandbox.language import N_

MOST_SECONDS = 30  # of a delay: nobody waits longer, and no thread is held longer
MOST_SKEW = 1_000_000


class Where(StrEnum):
    """At which point of the world weather strikes."""

    API = "api"
    CALLBACK = "callback"
    SCREEN = "screen"
    PLATFORM = "platform"
    PROVIDER = "provider"
    MACHINE = "machine"


class Call(StrEnum):
    """Which calls of the point API."""

    CREATE = "create"
    CONFIRM = "confirm"
    BOTH = "both"


@dataclass(frozen=True)
class Kind:
    """One kind of weather. `seconds` is what it takes when nobody says; None where there are none to say."""

    name: str
    where: Where
    says: str
    seconds: int | None = None
    unit: str = N_("seconds")
    # Sent beside the true request, whose payment it must not move: right is whoever refuses.
    is_forged: bool = False


_ALL = (
    Kind("api.slow", Where.API, N_("The point API answers late."), seconds=3),
    Kind("api.drip", Where.API, N_("The point API answers a byte now and then."), seconds=12),
    Kind("api.down", Where.API, N_("The line to the point API is cut.")),
    Kind("api.401", Where.API, N_("The point API finds the signature wrong.")),
    Kind("api.403", Where.API, N_("The point API does not allow it.")),
    Kind(
        "api.throttled", Where.API, N_("The point API has too much to do: 503, with Retry-After."), seconds=5
    ),
    Kind("api.rubbish", Where.API, N_("The point API answers 200 with rubbish.")),
    Kind("api.lost", Where.API, N_("The point API does what it was asked, and its answer is lost.")),
    Kind("api.foreign_link", Where.API, N_("The payment screen is said to stand on another host.")),
    Kind(
        "callback.queued",
        Where.CALLBACK,
        N_("The callback has waited in a queue: its timestamp is that old, and so much of its time is used."),
        seconds=4,
    ),
    Kind("callback.undelivered", Where.CALLBACK, N_("The callback does not reach the app.")),
    Kind("callback.lost", Where.CALLBACK, N_("The app answers the callback, and nobody hears it.")),
    Kind(
        "callback.copies",
        Where.CALLBACK,
        N_("The callback is sent several times at once."),
        seconds=8,
        unit=N_("copies"),
    ),
    Kind("callback.replayed", Where.CALLBACK, N_("The callback is sent again, with the same nonce.")),
    Kind("callback.reversed", Where.CALLBACK, N_("The other decision is sent first.")),
    Kind("callback.altered", Where.CALLBACK, N_("A callback altered after it was signed."), is_forged=True),
    Kind("callback.unsigned", Where.CALLBACK, N_("A callback without a signature."), is_forged=True),
    Kind("callback.wrong_key", Where.CALLBACK, N_("A callback signed with another secret."), is_forged=True),
    Kind(
        "callback.stale", Where.CALLBACK, N_("A callback signed an hour ago."), seconds=3600, is_forged=True
    ),
    Kind(
        "callback.unknown_code",
        Where.CALLBACK,
        N_("A callback for a payment that does not exist."),
        is_forged=True,
    ),
    Kind(
        "callback.another_owner",
        Where.CALLBACK,
        N_("A callback about this payment in another's name."),
        is_forged=True,
    ),
    Kind("callback.another_app", Where.CALLBACK, N_("A callback with another app's id."), is_forged=True),
    Kind("screen.expired", Where.SCREEN, N_("The payment screen has expired.")),
    Kind("screen.no_link", Where.SCREEN, N_("The result has no link back to the app.")),
    Kind("topup.maintenance", Where.SCREEN, N_("No points can be obtained, while they can be spent.")),
    Kind("platform.maintenance", Where.PLATFORM, N_("The whole platform is closed: 503 everywhere.")),
    Kind(
        "clock.skew",
        Where.PLATFORM,
        N_("The clock by which the platform signs is off."),
        seconds=700,
    ),
    Kind("provider.down", Where.PROVIDER, N_("The provider is closed.")),
    Kind("notice.lost", Where.PROVIDER, N_("The shop answers the notice, and nobody hears it.")),
    Kind("notice.stale", Where.PROVIDER, N_("The notice was signed an hour ago."), seconds=3600),
    Kind("notice.forged", Where.PROVIDER, N_("A notice signed with another secret."), is_forged=True),
    Kind(
        "notice.copies",
        Where.PROVIDER,
        N_("The notice is sent several times at once."),
        seconds=3,
        unit=N_("copies"),
    ),
    Kind("notice.another_sum", Where.PROVIDER, N_("A notice over another sum."), is_forged=True),
    Kind("shop.frozen", Where.MACHINE, N_("The shop's workers stand still."), seconds=12),
    Kind("shop.database", Where.MACHINE, N_("The shop's database is locked."), seconds=12),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}
# Where so many seconds are no delay.
MOST = {"clock.skew": MOST_SKEW, "callback.stale": MOST_SKEW, "notice.stale": MOST_SKEW}


def fits(kind: str, seconds: int | None) -> bool:
    """Whether weather of this kind can have so many seconds, or none."""
    if KINDS[kind].seconds is None or seconds is None:
        return seconds is None
    least = -MOST_SKEW if kind == "clock.skew" else 1
    return least <= seconds <= MOST.get(kind, MOST_SECONDS)
