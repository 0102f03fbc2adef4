"""Visits from PC and smartphone: a signed address opens one, once."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlalchemy import String, delete
from sqlalchemy.orm import Mapped, mapped_column

from storefront.db import Model, db, insert_once, transaction
from storefront.mixi.channel import NAME, Channel
from storefront.mixi.signing import KEY_NAME, OWNER_LENGTH, Malformed, Signed, is_opaque
from storefront.shop import customers, visits
from storefront.shop.devices import Device
from storefront.shop.visits import Begun


class Start(Model):
    """A start address that was used; the key is made of its nonce, and is that of the visit it opened."""

    __tablename__ = "start"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    opened_at: Mapped[datetime] = mapped_column(index=True)  # when mixi signed it


def begin(mixi: Channel, signed: Signed, device: Device, now: datetime) -> str:
    """Open the visit that a verified start address asks for; its key. Raises Malformed or Begun."""
    if signed.one("opensocial_app_id") != mixi.settings.mixi_app_id:
        raise Malformed("opensocial_app_id is another application's")
    # On these devices the one who looks need not be the one whose page it is.
    viewer_id = signed.one("opensocial_viewer_id")
    if not is_opaque(viewer_id, OWNER_LENGTH):
        raise Malformed("opensocial_viewer_id is no id")
    key = sha256(f"{signed.oauth[KEY_NAME]} {signed.oauth['oauth_nonce']}".encode("latin-1")).hexdigest()
    if db.session.get(Start, key):
        raise Begun(key)
    customer_id, at = customers.meet(NAME, viewer_id, now).id, datetime.fromtimestamp(signed.timestamp, UTC)
    with transaction() as session:
        customers.lock(session, NAME, [viewer_id])  # so that a removal comes before or after, and ends this
        customers.rejoin(session, [customer_id], at)
        if customers.has_left(session, customer_id):
            raise Malformed("signed before its viewer removed the app")
        # Beyond this age its timestamp alone refuses an address, and its visit is over.
        forgotten = now - visits.LONGEST - timedelta(seconds=mixi.settings.mixi_timestamp_window)
        session.execute(delete(Start).where(Start.opened_at < forgotten))
        if not insert_once(session, Start, key=key, opened_at=at):
            raise Begun(key)
        visits.begin(session, key, customer_id, device, at, now)
    return key
