"""OAuth codes and tokens. A token is good until its owner uninstalls the app."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.sandbox import clock
from storefront.sandbox.colorme.shops import Shop
from storefront.sandbox.colorme.store import Base, reading, transaction
from storefront.sandbox.storefile import Moment

CHARGING = "write_application_charge"
# Published for the store's API and the main one.
SCOPES = {
    CHARGING,
    "read_shop_script_tags", "write_shop_script_tags",
    "read_products", "write_products", "read_sales", "write_sales",
    "read_shop_coupons", "write_shop_coupons", "read_templates", "write_templates", "read_analytics",
}  # fmt: skip


class Code(Base):
    """Exchanged once, within its time."""

    __tablename__ = "code"

    code: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey(Shop.account))
    scope: Mapped[str]
    redirect_uri: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)


class Token(Base):
    """Opens the API for one shop."""

    __tablename__ = "token"

    token: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey(Shop.account), index=True)
    scope: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)

    @property
    def scopes(self) -> set[str]:
        return set(self.scope.split())


def new_code(account: str, scope: str, redirect_uri: str) -> str:
    code = secrets.token_hex(32)
    with transaction() as session:
        session.add(
            Code(code=code, account=account, scope=scope, redirect_uri=redirect_uri, made_at=clock.now())
        )
    return code


def exchange(code: str, redirect_uri: str, seconds: int) -> Token | None:
    """A token for a code that is fresh, was never used, and was given out to this address."""
    now = clock.now()
    spent = (
        update(Code)
        .where(
            Code.code == code,
            Code.redirect_uri == redirect_uri,
            Code.used_at.is_(None),
            Code.made_at > now - timedelta(seconds=seconds),
        )
        .values(used_at=now)
        .returning(Code)
    )
    with transaction() as session:
        known = session.scalars(spent).one_or_none()
        if known is None:
            return None
        token = Token(token=secrets.token_hex(32), account=known.account, scope=known.scope, made_at=now)
        session.add(token)
        return token


def find(token: str) -> Token | None:
    """A token that is good."""
    with reading() as session:
        known = session.get(Token, token)
    return known if known and known.revoked_at is None else None


def revoke(session: Session, account: str) -> None:
    """None of this shop's is good any more, nor a code that was not exchanged."""
    now = clock.now()
    session.execute(
        update(Token).where(Token.account == account, Token.revoked_at.is_(None)).values(revoked_at=now)
    )
    session.execute(update(Code).where(Code.account == account, Code.used_at.is_(None)).values(used_at=now))
