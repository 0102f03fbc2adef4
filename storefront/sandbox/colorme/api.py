"""The store's API, as the app calls it: the shop, option charges, usage charges, and the app's own removal.

Only good answers are documented. The envelope of errors is that of the main API; codes of ours are marked.
"""

import errno
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic, sleep
from typing import Any

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, gettext

from storefront.languages import DEFAULT_LANGUAGE
from storefront.sandbox.colorme import (
    bills,
    calendar,
    charges,
    contracts,
    hooks,
    installing,
    shops,
    tokens,
    weather,
    wire,
)
from storefront.sandbox.colorme.context import AppStore, appstore
from storefront.sandbox.colorme.contracts import Contract, Reason, State
from storefront.sandbox.colorme.reckoning import LEAST_YEN, MOST_YEN
from storefront.sandbox.colorme.shops import Shop
from storefront.sandbox.colorme.store import transaction
from storefront.sandbox.colorme.tokens import CHARGING, Token
from storefront.sandbox.colorme.wire import Kind
from storefront.sandbox.language import N_

PREFIXES = ("/v1/", "/appstore/", "/oauth/token")
USAGE_TOKEN = "X-Appstore-Usage-Charge-Token"  # noqa: S105  # the header's name
ASCII_AND_JIS = "euc_jp"  # the sets that a description may have, together
MINUTE = 60
RUBBISH = b"<!doctype html><title>502</title><p>Bad gateway"
# Ours, all but the first four.
UNAUTHORIZED, NOT_FOUND, BLANK, MISSING = 401010, 404100, 422007, 422210
BROKEN, TOO_MANY = 500000, 429000
SHORT, IN_TRIAL, NO_USAGE, BAD_POINT, TOO_LONG, BAD_CHARACTERS = range(422900, 422906)
VERDICTS = {
    "answered": N_("Answered."),
    "refused": N_("Refused."),
    "cut": N_("The weather cut the line: the app heard nothing, or half."),
}

blueprint = Blueprint("api", __name__)


class Failure(Exception):
    """A refusal in the API's own words."""

    def __init__(self, status: int, code: int, message: str, field: str = "", retry_after: int = 0) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.field, self.retry_after = field, retry_after

    def response(self) -> Response:
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": self.status}
        error |= {"field": self.field} if self.field else {}
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
        return _json({"errors": [error]}, self.status, headers)


@dataclass
class Seen:
    """A request on its way through, for weather and log."""

    kind: Kind
    account: str | None = None
    contract: str | None = None
    met: list[str] = field(default_factory=list)

    def meets(self, what: str) -> weather.Weather | None:
        struck = weather.take(self.kind.value, what, self.account)
        self.met += [struck.kind] if struck else []
        return struck


Work = Callable[[AppStore, Seen], Response]


def failed(status: int) -> Response:
    """What the framework refuses, in the API's envelope; a wrong method is an unknown path."""
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        status = HTTPStatus.NOT_FOUND
    codes = {404: NOT_FOUND, 401: UNAUTHORIZED}
    code = codes.get(status, BROKEN if status >= 500 else status * 1000)
    return Failure(status, code, HTTPStatus(status).phrase).response()


def served(seen: Seen, work: Work) -> Response:
    """Do the work in whatever weather there is, and write the exchange down."""
    started = monotonic()
    answer = _hindered(seen) or _worked(seen, work)
    done = answer
    answer = _returned(seen, answer)
    took = round((monotonic() - started) * 1000)
    cut = isinstance(answer, _Cut)
    verdict = VERDICTS["cut" if cut else "answered" if answer.status_code < 400 else "refused"]
    wire.record(
        seen.kind,
        request.method,
        request.url,
        head={name: value for name, value in request.headers.items() if name.lower() != "cookie"},
        sent=request.get_data(),
        status=None if cut else answer.status_code,
        answer_head={} if cut else dict(answer.headers.items()),
        answer=done.get_data() if answer is done else b"" if cut else answer.get_data(),
        milliseconds=took,
        good=not cut and answer.status_code < 400,
        verdict=verdict,
        weather=seen.met,
        account=seen.account,
        contract=seen.contract,
    )
    return answer


@blueprint.get("/v1/shop.json")
def shop() -> ResponseReturnValue:
    """Whose token this is."""
    return served(_seen(Kind.SHOP), _shop)


@blueprint.post("/appstore/v1/application_charges.json")
def charge() -> ResponseReturnValue:
    """Charge for an option; points that are short are a failure."""
    return served(_seen(Kind.CHARGE), _charge)


@blueprint.post("/appstore/v1/recurring_application_charges/<contract_id>/usage_charges.json")
def report(contract_id: str) -> ResponseReturnValue:
    """Write down usage; it cannot be taken back."""
    seen = _seen(Kind.USAGE)
    seen.contract = contract_id
    return served(seen, _report)


@blueprint.delete("/appstore/v1/installation.json")
def remove() -> ResponseReturnValue:
    """The app removes itself; no hook follows."""
    return served(_seen(Kind.REMOVAL), _remove)


def _shop(store: AppStore, seen: Seen) -> Response:
    found = _owner(_token())
    with force_locale(DEFAULT_LANGUAGE):
        title = gettext(found.part.name)
    return _json(
        {
            "shop": {
                "id": found.account,
                "state": "closed" if found.closed_at else "enabled",
                "login_id": found.key,
                "title": title,
                "url": f"https://{found.key}.shop.example",
                "open_state": "opened",
            }
        }
    )


def _charge(store: AppStore, seen: Seen) -> Response:
    token = _token(CHARGING)
    contract = _standing(token)
    seen.contract = contract.id
    told = _root("application_charge")
    option_id = _field(told, "application_charge_source_id", "application_charge")
    option = next((one for one in charges.options() if one.id == option_id), None)
    if option is None:
        raise Failure(404, NOT_FOUND, "no such application charge source")
    now = calendar.now()
    with transaction() as session:
        current = session.get_one(Contract, contract.id)
        if current.state is not State.STANDING:
            raise Failure(401, UNAUTHORIZED, "the application is not installed")
        bill = bills.buy(session, current, option, now)
    if bill is None:
        raise Failure(422, SHORT, "the shop has not enough points")
    made = calendar.stamp(now)
    charged = {"id": bill.code, "point": option.yen, "make_date": made, "update_date": made}
    return _json({"application_charge": charged}, 201)


def _report(store: AppStore, seen: Seen) -> Response:
    contract = _reported(seen)
    told = _root("usage_charge")
    point, text = _field(told, "point", "usage_charge"), _field(told, "description", "usage_charge")
    _check_usage(point, text, store.settings.description_length)
    now = calendar.now()
    if not contract.form.has_usage:
        raise Failure(422, NO_USAGE, "the plan has no usage charge")
    period = contract.period(now.date())
    if period is None:
        raise Failure(422, IN_TRIAL, "the shop is in its free trial")
    with transaction() as session:
        usage = bills.report(session, contract, period, point, text, now)
    made = calendar.stamp(now)
    kept = {"id": usage.code, "point": point, "description": text, "make_date": made, "update_date": made}
    return _json({"usage_charge": kept}, 201)


def _remove(store: AppStore, seen: Seen) -> Response:
    contract = _standing(_token())
    seen.contract = contract.id
    ended = installing.uninstall(store, contract.id, Reason.APP, tell=False)
    if ended is None:
        raise Failure(401, UNAUTHORIZED, "the application is not installed")
    return _json(hooks.uninstalled(ended, reason=None))


def _reported(seen: Seen) -> Contract:
    """The contract that this usage is about, if whoever tells it may."""
    contract = contracts.find(seen.contract or "")
    if given := request.headers.get(USAGE_TOKEN):
        if contract is None or contract.usage_token != given or not _is_open(contract):
            raise Failure(401, UNAUTHORIZED, "the usage charge token is not valid")
        seen.account = contract.account
        return contract
    token = _token(CHARGING)
    if contract is None or contract.account != token.account or contract.state is not State.STANDING:
        raise Failure(404, NOT_FOUND, "no such recurring application charge")
    return contract


def _is_open(contract: Contract) -> bool:
    shop_of_it = shops.find(contract.account)
    gone = shop_of_it is None or shop_of_it.is_gone
    return not gone and contract.may_be_told(calendar.today())


def _check_usage(point: object, text: object, longest: int) -> None:
    if type(point) is not int or not LEAST_YEN <= point <= MOST_YEN:
        message = "point must be a whole number from 100 to 1,000,000"
        raise Failure(422, BAD_POINT, message, "usage_charge.point")
    where = "usage_charge.description"
    if not isinstance(text, str):
        raise Failure(422, BLANK, "description must be text", where)
    if len(text) > longest:
        raise Failure(422, TOO_LONG, f"description may have {longest} characters", where)
    try:
        text.encode(ASCII_AND_JIS)
    except UnicodeEncodeError:
        raise Failure(422, BAD_CHARACTERS, "description has characters outside JIS", where) from None


def _seen(kind: Kind) -> Seen:
    known = tokens.find(_bearer())
    return Seen(kind, known.account if known else None)


def _bearer() -> str:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def _token(scope: str = "") -> Token:
    known = tokens.find(_bearer())
    if known is None or (scope and scope not in known.scopes):
        raise Failure(401, UNAUTHORIZED, "the access token is not valid")
    _count(known)
    return known


def _count(token: Token) -> None:
    """Ours: so many requests a minute for each token, as the main API has it."""
    store = appstore()
    most, now = store.settings.per_minute, monotonic()
    recent = [at for at in store.calls.get(token.token, []) if at > now - MINUTE]
    if most and len(recent) >= most:
        wait = int(recent[0] + MINUTE - now) + 1
        raise Failure(429, TOO_MANY, "too many requests", retry_after=wait)
    store.calls[token.token] = [*recent, now]


def _owner(token: Token) -> Shop:
    found = shops.find(token.account)
    assert found
    return found


def _standing(token: Token) -> Contract:
    contract = contracts.of(token.account)
    if contract is None:
        raise Failure(404, NOT_FOUND, "the application is not installed")
    return contract


def _root(name: str) -> Mapping[str, Any]:
    """The object of this name in the request's JSON; what is no JSON is a 500, as it was measured."""
    try:
        told = json.loads(request.get_data())
    except (ValueError, RecursionError):
        raise Failure(500, BROKEN, "the request could not be read") from None
    root = told.get(name) if isinstance(told, dict) else None
    if not isinstance(root, dict):
        raise Failure(422, MISSING, f"{name} is missing", name)
    return root


def _field(root: Mapping[str, Any], name: str, of: str) -> Any:
    if name not in root:
        raise Failure(422, MISSING, f"{name} is missing", f"{of}.{name}")
    if root[name] is None or (isinstance(root[name], str) and not root[name].strip()):
        raise Failure(422, BLANK, f"{name} is blank", f"{of}.{name}")
    return root[name]


def _hindered(seen: Seen) -> Response | None:
    """What weather makes of a request before it is looked at."""
    if slow := seen.meets("slow"):
        sleep(slow.seconds)
    if seen.meets("401"):
        return Failure(401, UNAUTHORIZED, "the access token is not valid").response()
    if throttled := seen.meets("429"):
        return Failure(429, TOO_MANY, "too many requests", retry_after=throttled.seconds).response()
    if seen.meets("before"):
        return Failure(500, BROKEN, "internal server error").response()
    return Response(RUBBISH, 200, content_type="text/html") if seen.meets("rubbish") else None


def _worked(seen: Seen, work: Work) -> Response:
    try:
        return work(appstore(), seen)
    except Failure as failure:
        return failure.response()
    except Exception:  # an API answers in its envelope, whatever happens
        current_app.logger.exception("the app store's API stumbled")
        return Failure(500, BROKEN, "internal server error").response()


def _returned(seen: Seen, answer: Response) -> Response:
    """What weather makes of an answer on its way back."""
    if seen.meets("after"):
        return Failure(500, BROKEN, "internal server error").response()
    if seen.meets("lost"):
        return _Cut()
    return _Cut(answer) if seen.meets("cut") else answer


class _Cut(Response):
    """No answer, or half of one: the line is cut there."""

    def __init__(self, half: Response | None = None) -> None:
        super().__init__(_cutting(half.get_data() if half else b""), half.status_code if half else 200)
        if half:
            self.headers = half.headers


def _cutting(body: bytes) -> Iterator[bytes]:
    if body:
        yield body[: len(body) // 2]
    # A server that hears this from the body closes the connection.
    raise ConnectionResetError(errno.ECONNRESET, "cut by the weather")


def _json(told: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(told, ensure_ascii=False)
    return Response(body, status, dict(headers or {}), content_type="application/json; charset=utf-8")
