"""How the operator gets in: a signed address opens a visit, once; a cookie carries it on."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

import structlog
from flask import url_for
from itsdangerous import BadData
from sqlalchemy import String, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront import clock, security
from storefront.config import settings
from storefront.db import Model, db, insert_once, transaction
from storefront.shop import visit, words
from storefront.shop.cookies import Cookie

SALT = "storefront.operator"
LINK_SECONDS = 600
LONGEST = timedelta(hours=12)  # then even a visit that never rested ends
NAME_LENGTH = 64
COOKIE = Cookie("operator", rotates=False)  # the visit, and the language it goes on in


log = structlog.get_logger()


class NotOperator(Exception):
    """Whoever asks has not come by the operator's address, or their visit is over."""


class Login(Model):
    """A nonce that was spent: of an operator's address, with the visit it opened; or of a form, with none."""

    __tablename__ = "operator_login"

    nonce: Mapped[str] = mapped_column(String(40), primary_key=True)
    opened_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    name: Mapped[str | None] = mapped_column(String(NAME_LENGTH))  # as who came in has said


def address() -> str:
    """A fresh address that lets the operator in; good for ten minutes, and once."""
    db.session.get(Login, "")  # without its table nobody could come in
    token = words.unrotated(SALT).dumps(secrets.token_urlsafe(12))
    return settings().public_url + url_for("operator.door", token=token)


def enter(token: str, name: str, now: datetime) -> None:
    """Open the visit that an address is for, in the name of who comes in; or NotOperator."""
    nonce, said = check(token), "".join(filter(str.isprintable, name)).strip()[:NAME_LENGTH]
    with transaction() as written:
        if not insert_once(written, Login, nonce=nonce, opened_at=now, name=said or None):
            raise NotOperator
    COOKIE.write((nonce, visit.asked_language()))


def check(token: str) -> str:
    """The nonce of a good address, used or not; or NotOperator."""
    security.never_framed()
    try:
        return str(words.unrotated(SALT).loads(token, max_age=LINK_SECONDS))
    except BadData:
        raise NotOperator from None


def name() -> str:
    """As who is asking has called themselves; empty if they did not."""
    return db.session.get_one(Login, required()).name or ""


def looked(**seen: object) -> None:
    """Keep in the log that the operator has seen what is somebody's own."""
    mark = sha256(required().encode()).hexdigest()[:8]  # tells two visits apart, and opens none
    log.info("operator looked", by=name() or "unnamed", visit=mark, **seen)


def required() -> str:
    """The visit of the operator who is asking, as the holder of forms; or NotOperator."""
    security.never_framed()
    nonce, spoken = COOKIE.read() or ("", None)
    login = db.session.get(Login, nonce)
    if login is None or login.ended_at or login.opened_at < clock.now() - LONGEST:
        raise NotOperator
    spoken = visit.asked_language() or spoken
    visit.speak(spoken)
    COOKIE.write((nonce, spoken))
    return login.nonce


def guard() -> None:
    """Before each request to pages that are all the operator's."""
    required()


def spend(session: Session, nonce: str, now: datetime) -> bool:
    """Spend the nonce of an operator's form; false if it was spent before."""
    return insert_once(session, Login, nonce=nonce, opened_at=now, ended_at=now)


def leave(now: datetime) -> None:
    """End the visit everywhere, whoever still has its cookie."""
    mine = update(Login).where(Login.nonce == required(), Login.ended_at.is_(None))
    with transaction() as written:
        written.execute(mine.values(ended_at=now))
    COOKIE.drop()


def end_visits(now: datetime) -> int:
    """End the visit of every operator, as when one of them has left; says how many there were."""
    lasting = (Login.ended_at.is_(None), Login.opened_at >= now - LONGEST)
    with transaction() as written:
        ended = written.scalars(update(Login).where(*lasting).values(ended_at=now).returning(Login.nonce))
        return len(ended.all())
