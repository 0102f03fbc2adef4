"""Every call of the store's API. Each has an end, and none is made twice.

A charge cannot be taken back, and there is no key by which the store would know a second one: so what is
not surely declined, and not surely unsent, is unknown.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import requests
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from storefront import metrics
from storefront.bounded import TooLarge, read
from storefront.clock import Deadline, TooLate
from storefront.colorme.channel import Channel, Crowded, channel
from storefront.colorme.contracts import SHOP_NAME_LENGTH
from storefront.colorme.settings import ACCOUNT
from storefront.colorme.tokens import GOOD_TOKEN

CHARGES = "/appstore/v1/application_charges.json"
USAGE_CHARGES = "/appstore/v1/recurring_application_charges/{contract}/usage_charges.json"
INSTALLATION = "/appstore/v1/installation.json"
SHOP = "/v1/shop.json"
USAGE_TOKEN = "X-Appstore-Usage-Charge-Token"  # noqa: S105  # the name of a header
MOST_BYTES = 64 * 1024
MOST_YEN = 2**31 - 1
UNSENT = (requests.ConnectTimeout, NewConnectionError, ConnectTimeoutError)
LATEST = 32503680000  # the year 3000; other moments are none


class Declined(Exception):
    """The store said no: nothing was charged, and nothing was changed."""

    def __init__(self, status: int, errors: Sequence[str] = (), retry_after: int | None = None) -> None:
        super().__init__(f"{status} {' '.join(errors)}".strip())
        self.status, self.errors, self.retry_after = status, errors, retry_after


class NotConnected(Exception):
    """The store was not reached, so it knows of nothing."""


class Unknown(Exception):
    """The call may have arrived, and nobody says what became of it."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status


def _whole(said: Any) -> Any:
    """JSON has one kind of number: 500.0 is 500."""
    return int(said) if isinstance(said, float) and said.is_integer() else said


Whole = Annotated[int, BeforeValidator(_whole)]


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


Answer = TypeVar("Answer", bound=_Said)


class Charged(_Said):
    """What the store has entered: its own id, yen before tax, and when, which decides the period."""

    id: str = Field(pattern="^[!-~]{1,64}$")
    point: Whole = Field(ge=0, le=MOST_YEN)
    make_date: Any = None

    @property
    def made_at(self) -> datetime | None:
        """None if it does not say so: what was charged is charged all the same."""
        told = _whole(self.make_date)
        return datetime.fromtimestamp(told, UTC) if type(told) is int and 0 <= told < LATEST else None


class UsageCharge(_Said):
    """What usage may be reported with after an uninstall, and until when (Unix seconds)."""

    api_token: str | None = Field(None, pattern=f"^{GOOD_TOKEN.pattern}$")
    closing_on: Whole | None = Field(None, ge=0, lt=LATEST)


class Removed(_Said):
    """The app is uninstalled. What a hook would say of it stands in this answer."""

    uninstalled_at: Whole = Field(ge=0, lt=LATEST)
    usage_charge: UsageCharge | None = None


class Shop(_Said):
    """Whose token it is."""

    id: str = Field(pattern=f"^{ACCOUNT.pattern}$")
    title: str | None = None

    @property
    def name(self) -> str:
        return (self.title or "").replace("\0", "")[:SHOP_NAME_LENGTH]  # PostgreSQL keeps no NUL


class _Charge(_Said):
    application_charge: Charged


class _Usage(_Said):
    usage_charge: Charged


class _Shop(_Said):
    shop: Shop


def charge(token: str, option_id: str) -> Charged:
    """Charge an option now. Raises Declined, NotConnected or Unknown, as every call here."""
    body = {"application_charge": {"application_charge_source_id": option_id}}
    said = _call("charge", "POST", CHARGES, _bearer(token), body, 201)
    return _read(_Charge, said).application_charge


def report(
    contract_id: str, yen: int, description: str, token: str | None = None, usage_token: str | None = None
) -> Charged:
    """Report usage of a contract; after an uninstall with its usage token in place of the other one."""
    headers = {USAGE_TOKEN: usage_token} if usage_token else _bearer(token or "")
    body = {"usage_charge": {"point": yen, "description": description}}
    said = _call("report", "POST", USAGE_CHARGES.format(contract=contract_id), headers, body, 201)
    return _read(_Usage, said).usage_charge


def remove(token: str) -> Removed:
    """Uninstall the app from the shop whose token it is."""
    return _read(Removed, _call("remove", "DELETE", INSTALLATION, _bearer(token), None, 200))


def shop(token: str) -> Shop:
    return _read(_Shop, _call("shop", "GET", SHOP, _bearer(token), None, 200)).shop


def _bearer(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _call(name: str, method: str, path: str, headers: Mapping[str, str], body: object, good: int) -> bytes:
    """The body of a good answer."""
    store = channel()
    try:
        with store.gate.place():
            said = _send(store, method, path, headers, body, good)
    except Crowded as full:
        metrics.count_call(f"colorme.{name}", "crowded")
        raise NotConnected(str(full)) from full
    except (Declined, NotConnected, Unknown) as failure:
        metrics.count_call(f"colorme.{name}", type(failure).__name__.lower())
        raise
    metrics.count_call(f"colorme.{name}", "answered")
    return said


def _send(
    store: Channel, method: str, path: str, headers: Mapping[str, str], body: object, good: int
) -> bytes:
    deadline = Deadline.after(store.timeouts.total)
    try:
        with store.http.request(
            method,
            store.api(path),
            json=body,
            headers={"Accept-Encoding": "identity", **headers},
            auth=_as_said,
            timeout=store.timeouts.within(),
            allow_redirects=False,
            stream=True,
        ) as answer:
            status = answer.status_code
            if 400 <= status < 500:
                raise Declined(status, _errors(answer, deadline), _seconds(answer.headers.get("Retry-After")))
            if status != good:
                raise Unknown(f"the store answered {status}", status)
            return _body(answer, deadline)
    except (requests.RequestException, HTTPError, OSError, TooLate) as failure:
        if _is_unsent(failure):
            raise NotConnected(type(failure).__name__) from failure
        raise Unknown(f"no answer: {type(failure).__name__}") from failure


def _as_said(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """The headers stay as they are, whatever a .netrc has for that host."""
    return request


def _is_unsent(failure: BaseException) -> bool:
    """Whether no connection was made at all."""
    cause = failure.args[0] if failure.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(failure, UNSENT) or isinstance(reason, UNSENT)


def _body(answer: requests.Response, deadline: Deadline) -> bytes:
    try:
        # It may be packed on its way, whatever we ask for: what was charged is charged all the same.
        return read(answer, deadline.left(), MOST_BYTES, decoded=True).removeprefix(BOM_UTF8)
    except TooLarge:
        raise Unknown("the answer is too long", answer.status_code) from None


def _errors(answer: requests.Response, deadline: Deadline) -> Sequence[str]:
    """The codes of a refusal, as far as it can be read: that it is one, its status has said."""
    try:
        errors = json.loads(_body(answer, deadline))["errors"]
        return tuple(str(int(error["code"])) for error in errors)[:5]
    except (Unknown, requests.RequestException, HTTPError, OSError, ValueError, TypeError, LookupError):
        return ()
    except (OverflowError, RecursionError):  # 1e999 is no number, and brackets may never end
        return ()


def _seconds(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else None


def _read(kind: type[Answer], body: bytes) -> Answer:
    """What a good status came with; if that is rubbish, what was done is not known."""
    try:
        return kind.model_validate_json(body)
    except ValidationError:
        raise Unknown("the answer is unreadable") from None
