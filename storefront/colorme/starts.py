"""How a shop owner comes in: by the store's consent, to the contract of the shop that it is for.

There is no other identity. The `state` that goes along is signed, good for ten minutes, once, and in the
browser that it was made for: whoever else is led to our address is not let in as somebody.
"""

import secrets
from datetime import datetime, timedelta
from enum import StrEnum

from itsdangerous import BadData
from sqlalchemy import String, delete
from sqlalchemy.orm import Mapped, mapped_column

from storefront import clock
from storefront.colorme import calendar, client, contracts, installs, oauth, parcels
from storefront.colorme.client import Declined, NotConnected, Shop, Unknown
from storefront.colorme.contracts import Contract
from storefront.colorme.oauth import NoToken, SpentCode
from storefront.colorme.tokens import decrypted, encrypted
from storefront.db import Model, insert_once, transaction
from storefront.shop import visits, words
from storefront.shop.cookies import Cookie
from storefront.shop.devices import Device

STATE_SECONDS = 600  # ours, as long as the store's code is good
MOST_BEGUN = 5  # ours: windows of one browser, the newest
SALT = "storefront.colorme.state"
COOKIE = Cookie("colorme", framed=True)  # the store leads back here, which a strict cookie would not follow


class Why(StrEnum):
    """Why somebody is not let in."""

    DENIED = "denied"  # the owner pressed the other button
    STATE = "state"  # missing, old, used, or another browser's
    CODE = "code"  # the store knows it no more
    SILENT = "silent"  # the store does not answer, or nothing that can be understood
    NOT_INSTALLED = "not_installed"


class TurnedAway(Exception):
    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


class UsedState(Model):
    """A state that came back, which lets nobody in again."""

    __tablename__ = "colorme_start"

    state: Mapped[str] = mapped_column(String(64), primary_key=True)
    used_at: Mapped[datetime] = mapped_column(index=True)


def begin(language: str) -> str:
    """Where this browser goes to be let in, and comes back from in this language."""
    nonce = secrets.token_urlsafe(24)
    COOKIE.write([*_begun()[1 - MOST_BEGUN :], nonce])
    return oauth.consent_url(words.serializer(SALT).dumps([nonce, language]))


def come_back(state: str, code: str, error: str) -> tuple[str, str]:
    """Let in who comes back from the store; the key of their visit, and its language. Raises TurnedAway."""
    now = clock.now()
    language = _spend(state, now)
    if error or not code:
        raise TurnedAway(Why.DENIED)
    token, shop = _identified(code)
    contract = _contract(shop.id)
    if contract is None:
        raise TurnedAway(Why.NOT_INSTALLED)
    at, key = calendar.now(), secrets.token_hex(32)
    with transaction() as session:
        contracts.hold(session, contract.id)
        if not contracts.come_in(session, contract.id, encrypted(token), shop.name, at):
            raise TurnedAway(Why.NOT_INSTALLED)
        parcels.bring(session, contract, clock.day(at), at)
        visits.begin(session, key, contract.customer_id, Device.PC, now, now)
    return key, language


def _spend(state: str, now: datetime) -> str:
    """The state is this browser's, and is used up; the language it began in. Or TurnedAway."""
    try:
        nonce, language = words.serializer(SALT).loads(state, max_age=STATE_SECONDS)
    except (BadData, ValueError):
        raise TurnedAway(Why.STATE) from None
    begun = _begun()
    if nonce not in begun:
        raise TurnedAway(Why.STATE)
    COOKIE.write([other for other in begun if other != nonce])
    forgotten = UsedState.used_at < now - timedelta(seconds=2 * STATE_SECONDS)  # their age alone refuses them
    with transaction() as session:
        session.execute(delete(UsedState).where(forgotten))
        if not insert_once(session, UsedState, state=nonce, used_at=now):
            raise TurnedAway(Why.STATE)
    return str(language)


def _begun() -> list[str]:
    """What this browser has begun and not finished: its owner may have several windows."""
    said = COOKIE.read()
    return said if isinstance(said, list) else []


def _contract(account: str) -> Contract | None:
    """What an account has; the store is asked first where we only concluded which one that is.

    By the token from before: a new one may be had without the app, and says nothing of what became of it.
    """
    in_doubt = contracts.doubtful(account)
    if in_doubt and installs.ask_again(in_doubt) is None:
        raise TurnedAway(Why.SILENT)
    stands = contracts.standing_of(account)
    if stands and stands.asked_to_go_at and decrypted(stands.access_token):
        if installs.see(stands) is None:
            raise TurnedAway(Why.SILENT)
        return contracts.standing_of(account)
    return stands


def _identified(code: str) -> tuple[str, Shop]:
    """The token for a code, and the shop that it is for."""
    try:
        token = oauth.token(code)
        return token, client.shop(token)
    except SpentCode:
        raise TurnedAway(Why.CODE) from None
    except (NoToken, Declined, NotConnected, Unknown) as failure:
        raise TurnedAway(Why.SILENT) from failure
