"""Lifecycle events: people who add the app or remove it.

mixi tells of them late, several at once, perhaps twice and perhaps out of sequence. Only the newest
word about a person counts, so that an event may be applied as often as it comes.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import structlog

from storefront.db import transaction
from storefront.mixi.channel import NAME
from storefront.mixi.signing import MAX_EVENT_IDS, OWNER_LENGTH, Malformed, Signed, is_opaque
from storefront.shop import customers, visits

# An event is mixi's own word; one that names a viewer was signed for something else (spec: lifecycle events).
VIEWERS = ("opensocial_owner_id", "opensocial_viewer_id")

log = structlog.get_logger()


class Type(StrEnum):
    """mixi's words for what happened."""

    ADD = "event.addapp"
    REMOVE = "event.removeapp"


@dataclass(frozen=True)
class Event:
    """These people have added the app, or removed it; `at` is when mixi said so."""

    type: Type
    ids: frozenset[str]
    at: datetime

    @classmethod
    def read(cls, signed: Signed, app_id: str) -> "Event":
        """Parse the parameters of a verified event, or raise Malformed."""
        if any(signed.each(name) for name in VIEWERS):
            raise Malformed("an event names neither owner nor viewer")
        if signed.one("opensocial_app_id") != app_id:
            raise Malformed("opensocial_app_id is another application's")
        kind = signed.one("eventtype")
        if kind not in list(Type):
            raise Malformed("eventtype is neither event.addapp nor event.removeapp")
        ids = signed.each("id")
        if not 1 <= len(ids) <= MAX_EVENT_IDS:
            raise Malformed(f"id is given {len(ids)} times, expected 1 to {MAX_EVENT_IDS}")
        if not all(is_opaque(one, OWNER_LENGTH) for one in ids):
            raise Malformed("an id is none")
        return cls(Type(kind), frozenset(ids), datetime.fromtimestamp(signed.timestamp, UTC))


def apply(event: Event, now: datetime) -> None:
    """Remember who has the app, and end the visits of who has left it.

    Who has never visited is ignored: a customer is made at the first visit.
    """
    with transaction() as session:
        known = customers.lock(session, NAME, event.ids)
        if event.type is Type.REMOVE:
            visits.end_all(session, known, event.at, now)
            customers.leave(session, known, event.at)
        else:
            customers.rejoin(session, known, event.at)
    log.info("lifecycle applied", eventtype=event.type.value, count=len(event.ids), known=len(known))
