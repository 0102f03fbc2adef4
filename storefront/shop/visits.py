"""Visits: who is looking, through which device, and how links are written for them.

Where not every request says anew who asks, an entrance opens a visit under a key, and a cookie carries it on.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

from flask import request, url_for
from sqlalchemy import ForeignKey, String, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.config import settings
from storefront.db import Model, db, insert_once, transaction, words
from storefront.languages import DEFAULT_LANGUAGE
from storefront.shop.customers import Customer
from storefront.shop.devices import Device

LONGEST = timedelta(days=1)  # then even a visit that never rested ends
KEPT = 2 * LONGEST  # ended visits are nobody's any more, and nobody else writes to them


class Opened(Model):
    """A visit that was opened under a key, on this device."""

    __tablename__ = "visit"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    device: Mapped[Device] = mapped_column(words(Device))
    opened_at: Mapped[datetime] = mapped_column(index=True)  # by the platform's clock, as its events are
    ended_at: Mapped[datetime | None]


class Begun(Exception):
    """A visit was opened under this key before. What has opened it opens nothing a second time."""

    def __init__(self, key: str) -> None:
        super().__init__("it was used before")
        self.key = key


class Links(Protocol):
    """How one of our addresses is written so that the visit goes on behind it.

    `added` names the query parameters that the platform puts on every address by itself.
    """

    @property
    def added(self) -> frozenset[str]: ...

    def in_page(self, address: str) -> str: ...

    def in_redirect(self, address: str) -> str: ...


@dataclass(frozen=True)
class PlainLinks:
    """On our own domain an address is an address."""

    added: frozenset[str] = frozenset()

    def in_page(self, address: str) -> str:
        return urlunsplit(("", "", *urlsplit(address)[2:]))

    def in_redirect(self, address: str) -> str:
        return address


@dataclass(frozen=True)
class Visit:
    """A verified customer looking at a page.

    `key` is what the visit can be gone on with; where every request says anew who asks there is none.
    """

    customer: Customer
    device: Device
    links: Links
    chosen: str | None
    key: str = ""

    @property
    def channel(self) -> str:
        return self.customer.channel

    @property
    def leave(self) -> str | None:
        """The endpoint that ends the visit."""
        return f"{self.channel}.leave" if self.key else None

    @property
    def language(self) -> str:
        return self.chosen or DEFAULT_LANGUAGE

    def link(self, endpoint: str, *, at: str = "", **values: Any) -> str:
        """The href or form action that leads to one of our pages, `at` the element of this id."""
        return self.links.in_page(self._address(endpoint, values)) + (f"#{at}" if at else "")

    def target(self, endpoint: str, **values: Any) -> str:
        """The Location that leads to one of our pages."""
        return self.links.in_redirect(self._address(endpoint, values))

    def here(self, language: str) -> str:
        """The href of this very page in another language."""
        own = {name: value for name, value in request.args.items() if name not in self.links.added}
        # Names of a stranger's are none of the framework's own, which url_for would obey.
        query = urlencode({**own, "lang": language})
        path = url_for(str(request.endpoint), **(request.view_args or {}))
        return self.links.in_page(f"{settings().public_url}{path}?{query}")

    def _address(self, endpoint: str, values: dict[str, Any]) -> str:
        return settings().public_url + url_for(endpoint, **{"lang": self.chosen, **values})


def begin(session: Session, key: str, customer_id: int, device: Device, at: datetime, now: datetime) -> None:
    """Open a visit, in the caller's transaction; `at` is when the platform let the customer in.

    Raises Begun. A key is known for two days, so what is older must not come here.
    """
    session.execute(delete(Opened).where(Opened.opened_at < now - KEPT))
    if not insert_once(session, Opened, key=key, customer_id=customer_id, device=device, opened_at=at):
        raise Begun(key)


def find(key: str, chosen: str | None, now: datetime) -> Visit | None:
    """The visit of this key, unless it has ended or its customer has left the channel."""
    going = (Opened.key == key, Opened.ended_at.is_(None), Opened.opened_at > now - LONGEST)
    query = select(Customer, Opened.device).join(Opened, Opened.customer_id == Customer.id)
    row = db.session.execute(query.where(*going, Customer.removed_at.is_(None))).first()
    return Visit(row[0], row[1], PlainLinks(), chosen, key) if row else None


def newest(customer_id: int, most: int) -> Sequence[Opened]:
    """The newest of a customer's visits that were opened under a key, as far as they are known."""
    mine = select(Opened).where(Opened.customer_id == customer_id)
    return db.session.scalars(mine.order_by(Opened.opened_at.desc()).limit(most)).all()


def end(key: str, now: datetime) -> None:
    """End a visit everywhere, whoever still has its cookie."""
    with transaction() as session:
        going = update(Opened).where(Opened.key == key, Opened.ended_at.is_(None))
        session.execute(going.values(ended_at=now))


def end_all(session: Session, customer_ids: Collection[int], until: datetime, now: datetime) -> None:
    """End every visit that these customers had opened by then, for good: who returns opens another."""
    # What begin() forgets is left to it: two who write the same rows could wait for each other.
    alive = (Opened.ended_at.is_(None), Opened.opened_at > now - LONGEST, Opened.opened_at <= until)
    session.execute(update(Opened).where(Opened.customer_id.in_(customer_ids), *alive).values(ended_at=now))
