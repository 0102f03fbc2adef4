"""Visits from PC and smartphone: a signed address opens one, once; a cookie carries it on."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlalchemy import ForeignKey, String, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.db import Model, db, insert_once, transaction, words
from storefront.mixi.channel import NAME, Channel
from storefront.mixi.payments import OWNER_LENGTH
from storefront.mixi.signing import KEY_NAME, Malformed, Signed, is_opaque
from storefront.shop import customers
from storefront.shop.customers import Customer
from storefront.shop.devices import Device

LONGEST = timedelta(days=1)  # then even a visit that never rested ends


class Start(Model):
    """A start address that was used, and the visit it opened; the key is made of its nonce."""

    __tablename__ = "start"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    device: Mapped[Device] = mapped_column(words(Device))
    opened_at: Mapped[datetime] = mapped_column(index=True)  # when mixi signed it: its events have that clock
    ended_at: Mapped[datetime | None]


class Replayed(Exception):
    """This start address has opened its visit already; `key` says which."""

    def __init__(self, key: str) -> None:
        super().__init__("the start address was used before")
        self.key = key


@dataclass(frozen=True)
class Opened:
    """Who is visiting, and on what."""

    customer: Customer
    device: Device


def begin(mixi: Channel, signed: Signed, device: Device, now: datetime) -> str:
    """Open the visit that a verified start address asks for; its key. Raises Malformed or Replayed."""
    if signed.one("opensocial_app_id") != mixi.app_id:
        raise Malformed("opensocial_app_id is another application's")
    # On these devices the one who looks need not be the one whose page it is.
    viewer_id = signed.one("opensocial_viewer_id")
    if not is_opaque(viewer_id, OWNER_LENGTH):
        raise Malformed("opensocial_viewer_id is no id")
    key = sha256(f"{signed.oauth[KEY_NAME]} {signed.oauth['oauth_nonce']}".encode("latin-1")).hexdigest()
    if db.session.get(Start, key):
        raise Replayed(key)
    customer_id, at = customers.meet(NAME, viewer_id, now).id, datetime.fromtimestamp(signed.timestamp, UTC)
    values = {"customer_id": customer_id, "device": device, "opened_at": at}
    with transaction() as session:
        customers.lock(session, NAME, [viewer_id])  # so that a removal comes before or after, and ends this
        customers.rejoin(session, [customer_id], at)
        if customers.has_left(session, customer_id):
            raise Malformed("signed before its viewer removed the app")
        # Beyond this age its timestamp alone refuses an address, and its visit is over.
        forgotten = now - LONGEST - timedelta(seconds=mixi.window)
        session.execute(delete(Start).where(Start.opened_at < forgotten))
        if not insert_once(session, Start, key=key, **values):
            raise Replayed(key)
    return key


def find(key: str, now: datetime) -> Opened | None:
    """The visit of this key, unless it has ended or its customer has left the app."""
    going = (Start.key == key, Start.ended_at.is_(None), Start.opened_at > now - LONGEST)
    query = select(Customer, Start.device).join(Start, Start.customer_id == Customer.id)
    row = db.session.execute(query.where(*going, Customer.removed_at.is_(None))).first()
    return Opened(row[0], row[1]) if row else None


def end(key: str, now: datetime) -> None:
    """End a visit everywhere, whoever still has its cookie."""
    with transaction() as session:
        session.execute(update(Start).where(Start.key == key, Start.ended_at.is_(None)).values(ended_at=now))


def end_all(session: Session, customer_ids: Collection[int], until: datetime, now: datetime) -> None:
    """End every visit that these customers had opened by then, for good: who returns opens another."""
    # What begin() forgets is left to it: two who write the same rows could wait for each other.
    alive = (Start.ended_at.is_(None), Start.opened_at > now - LONGEST, Start.opened_at <= until)
    session.execute(update(Start).where(Start.customer_id.in_(customer_ids), *alive).values(ended_at=now))
