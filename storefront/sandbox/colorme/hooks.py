"""Hooks: how the app is told of an install and of an uninstall, signed over the raw body.

An install hook is sent once, and whatever is not a good answer cancels the install. An uninstall hook is
sent again until it is heard, so many times, then the developer gets a mail; the uninstall stands regardless.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from sqlalchemy import ForeignKey, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storefront.bounded import TooLarge
from storefront.sandbox.colorme import calendar, diary, weather, wire
from storefront.sandbox.colorme.context import AppStore
from storefront.sandbox.colorme.contracts import Contract, Reason
from storefront.sandbox.colorme.diary import DEVELOPER, Mood
from storefront.sandbox.colorme.reckoning import Form
from storefront.sandbox.colorme.shops import Shop
from storefront.sandbox.colorme.store import Base, reading, transaction
from storefront.sandbox.colorme.wire import Kind
from storefront.sandbox.language import N_
from storefront.sandbox.mixi.calls import FAILURES, Answer, answer_to
from storefront.sandbox.storefile import Moment

SIGNATURE = "X-Appstore-Signature"
JSON = "application/json"
MAX_ANSWER_BYTES = 64 * 1024
ANOTHER = "PA00000000"
# Why the app was not heard.
REASONS = {
    "lost": N_("The weather lost the hook: the app was told nothing."),
    "late": N_("The weather held the hook back: nobody waited for an answer."),
    "unheard": N_("The app answered, and the weather let nobody hear it."),
    "slow": N_("The app took too long."),
    "large": N_("The app's answer was too large."),
    "away": N_("The app could not be reached."),
}


class Hook(Base):
    """An uninstall hook, until it is heard or was sent often enough."""

    __tablename__ = "hook"

    contract_id: Mapped[str] = mapped_column(ForeignKey(Contract.id), primary_key=True)
    body: Mapped[str]
    tries: Mapped[int] = mapped_column(default=0)
    # When it is sent next; nothing once that is over.
    due_at: Mapped[datetime | None] = mapped_column(Moment)
    heard_at: Mapped[datetime | None] = mapped_column(Moment)


class About(NamedTuple):
    """Whose contract a hook is about."""

    account: str
    id: str


@dataclass
class Heard:
    """What the app said, if we could hear it."""

    answer: Answer | None = None
    silence: str = ""
    weather: list[str] = field(default_factory=list)
    is_held_back: bool = False

    @property
    def redirect(self) -> str | None:
        """Where the owner goes from here; nothing if this is not the answer that an install needs."""
        address = self.says().get("redirect_url")
        return address if isinstance(address, str) and _leads_somewhere(address) else None

    def says(self) -> Mapping[str, Any]:
        """The JSON object that it answered with 200; nothing of anything else."""
        if self.answer is None or self.answer.status != 200:
            return {}
        try:
            said = json.loads(self.answer.body)
        except (ValueError, RecursionError):
            return {}
        return said if isinstance(said, dict) else {}


def installed(contract: Contract, shop: Shop) -> bytes:
    """The body of an install hook."""
    told: dict[str, Any] = {
        "account_id": contract.account,
        "application_charge_source_id": contract.plan_id,
        _name(contract): contract.id,
        "mail": shop.mail,
    }
    if contract.trial:
        told["trial_term"] = {
            "starts_at": calendar.stamp(calendar.midnight(contract.trial.first)),
            "ends_at": calendar.stamp(calendar.midnight(contract.charged_from)),
        }
    return _body(told)


def uninstalled(contract: Contract, *, reason: Reason | None) -> dict[str, Any]:
    """What an uninstall hook says; without a reason, what the app's own removal is answered with."""
    told: dict[str, Any] = {
        "account_id": contract.account,
        "application_charge_source_id": contract.plan_id,
        "uninstalled_at": contract.ended_at and calendar.stamp(contract.ended_at),
    }
    if reason:
        told["reason"] = reason.value
    if contract.form is not Form.ONE_TIME:
        told["recurring_application_charge_id"] = contract.id
    if contract.form.has_usage and contract.closing_on:
        closing = calendar.midnight(contract.closing_on) + timedelta(days=1, seconds=-1)
        token = {"api_token": contract.usage_token} if contract.usage_token else {}
        told["usage_charge"] = {**token, "closing_on": calendar.stamp(closing)}
    return told


def ask(store: AppStore, contract: Contract, body: bytes) -> Heard:
    """Send the install hook, once."""
    return _send(store, Kind.INSTALL, store.settings.install_address, _about(contract), body)


def ask_late(store: AppStore, contract: Contract, body: bytes) -> None:
    """The install hook that was held back: nobody waits for what the app says."""
    url = store.settings.install_address
    _posted(store, Kind.INSTALL, url, _about(contract), body, body, ["install.late"])


def queue(session: Session, contract: Contract, reason: Reason, now: datetime) -> None:
    """The app is to be told of this uninstall, from now on."""
    body = _body(uninstalled(contract, reason=reason)).decode()
    session.add(Hook(contract_id=contract.id, body=body, due_at=now))


def send_due(store: AppStore, contract_id: str | None = None) -> None:
    """Send whatever is due; of one contract, if it is named."""
    now = calendar.now()
    chosen = select(Hook).where(Hook.due_at <= now).order_by(Hook.due_at, Hook.contract_id)
    chosen = chosen.where(Hook.contract_id == contract_id) if contract_id else chosen
    with reading() as session:
        due = [(hook, session.get_one(Contract, hook.contract_id)) for hook in session.scalars(chosen)]
    for hook, contract in due:
        _tell(store, hook, contract, now)


def next_due() -> datetime | None:
    """When a hook is sent next."""
    with reading() as session:
        return session.scalar(select(func.min(Hook.due_at)))


def of(contract_id: str) -> Hook | None:
    with reading() as session:
        return session.get(Hook, contract_id)


def resend(store: AppStore, exchange: wire.Exchange) -> None:
    """Somebody sends a hook of the log once more, to the letter; nothing comes of the answer."""
    about = About(exchange.account or "", exchange.contract or "")
    hook = of(about.id) if exchange.kind is Kind.UNINSTALL else None
    # The log hides a token that the hook has.
    body = (hook.body if hook else exchange.sent).encode()
    settings = store.settings
    url = settings.install_address if exchange.kind is Kind.INSTALL else settings.uninstall_address
    _posted(store, exchange.kind, url, about, body, body, ["by hand"])


def sign(secret: str, body: bytes) -> str:
    """Base64 of HMAC-SHA256 over the raw body."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def _tell(store: AppStore, hook: Hook, contract: Contract, now: datetime) -> None:
    body = hook.body.encode()
    heard = _send(store, Kind.UNINSTALL, store.settings.uninstall_address, _about(contract), body)
    good = bool(heard.answer and heard.answer.status == 200)
    settings = store.settings
    with transaction() as session:
        kept = session.get_one(Hook, contract.id)
        kept.tries += 1
        if good:
            kept.due_at, kept.heard_at = None, now
        elif kept.tries > settings.resends:
            kept.due_at = None
            _write_to_developer(session, contract, kept.tries, now)
        else:
            kept.due_at = now + timedelta(minutes=settings.resend_minutes)
        text = (
            N_("The app heard of the uninstall (try %(number)s).")
            if good
            else N_("The app did not hear of the uninstall (try %(number)s).")
        )
        diary.note(
            session,
            now,
            text,
            {"number": kept.tries},
            account=contract.account,
            contract=contract.id,
            mood=Mood.GOOD if good else Mood.BAD,
        )


def _write_to_developer(session: Session, contract: Contract, tries: int, now: datetime) -> None:
    diary.write(
        session,
        now,
        DEVELOPER,
        f"unheard:{contract.id}",
        N_("An uninstall hook was not heard"),
        N_(
            "We told your app %(tries)s times that %(account)s has uninstalled it (contract %(contract)s), "
            "and got no 200. We stop here; the uninstall stands."
        ),
        {"tries": tries, "account": contract.account, "contract": contract.id},
    )


def _send(store: AppStore, kind: Kind, url: str, about: About, body: bytes) -> Heard:
    """Send one hook in whatever weather there is."""
    struck = {what: weather.take(kind.value, what, about.account) for what in weather.OF_HOOKS}
    met = [one.kind for one in struck.values() if one]
    for what in ("lost", "late"):
        if struck[what]:
            return _unsent(kind, url, body, about, met, what)
    if slow := struck["slow"]:
        sleep(slow.seconds)
    sent = body.replace(about.account.encode(), ANOTHER.encode()) if struck["altered"] else body
    heard = _posted(store, kind, url, about, body, sent, met, is_heard=not struck["unheard"])
    if struck["twice"]:
        _posted(store, kind, url, about, body, sent, met)
    return heard


def _unsent(kind: Kind, url: str, body: bytes, about: About, met: list[str], what: str) -> Heard:
    _record(kind, url, {"Content-Type": JSON}, body, about, None, 0, REASONS[what], met)
    return Heard(None, REASONS[what], met, is_held_back=what == "late")


def _posted(
    store: AppStore,
    kind: Kind,
    url: str,
    about: About,
    signed: bytes,
    sent: bytes,
    met: list[str],
    *,
    is_heard: bool = True,
) -> Heard:
    """Post it and write it down; `signed` is what its signature is over."""
    secret = store.settings.webhook_secret.get_secret_value()
    headers = {"Content-Type": JSON, SIGNATURE: sign(secret, signed)}
    asked = requests.Request("POST", url, headers=headers, data=sent).prepare()
    answer, silence, started = None, "", monotonic()
    try:
        answer = answer_to(asked, store.http, store.settings.hook_seconds, MAX_ANSWER_BYTES)
    except (TimeoutError, requests.Timeout):
        silence = REASONS["slow"]
    except TooLarge:
        silence = REASONS["large"]
    except FAILURES:
        silence = REASONS["away"]
    took = round((monotonic() - started) * 1000)
    if not is_heard:
        answer, silence = None, REASONS["unheard"]
    _record(kind, url, headers, sent, about, answer, took, silence or _verdict(answer), met)
    return Heard(answer, silence, met)


def _verdict(answer: Answer | None) -> str:
    if answer is None or answer.status == 200:
        return N_("The app answered 200.")
    return N_("The app did not answer 200.")


def _record(
    kind: Kind,
    url: str,
    headers: Mapping[str, str],
    sent: bytes,
    about: About,
    answer: Answer | None,
    took: int,
    verdict: str,
    met: list[str],
) -> None:
    wire.record(
        kind,
        "POST",
        url,
        head=headers,
        sent=sent,
        status=answer.status if answer else None,
        answer_head=dict(answer.headers) if answer else {},
        answer=answer.body if answer else b"",
        milliseconds=took,
        good=bool(answer and answer.status == 200),
        verdict=verdict,
        weather=met,
        account=about.account,
        contract=about.id,
    )


def _leads_somewhere(address: str) -> bool:
    """Whether a browser can be sent there: it names a host, and can be read and written."""
    try:
        named = urlsplit(address).hostname
    except ValueError:
        return False
    return bool(named and re.match(r"https?://", address) and address.isprintable())


def _name(contract: Contract) -> str:
    return "application_charge_id" if contract.form is Form.ONE_TIME else "recurring_application_charge_id"


def _body(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _about(contract: Contract) -> About:
    return About(contract.account, contract.id)
