"""What a game is refused, and how that is said: application/problem+json (source: RFC 9457)."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from storefront.db import LOCK_SECONDS
from storefront.shop.inventory import NotConsumable, TooFew

MEDIA_TYPE = "application/problem+json"
PLAIN = "about:blank"
SOON = 1  # seconds
LATER = round(LOCK_SECONDS)  # by then who waits for a lock has heard

log = structlog.get_logger()

Answer = tuple[bytes, int, dict[str, str]]


class Malformed(Exception):
    """Not as the description has it; says what is not, and repeats nothing of it."""


class Unauthorized(Exception):
    """Without a token of the shop's."""


class NoSuchCustomer(Exception):
    """The shop has never met them."""


class KeyReused(Exception):
    """This key has used something else."""


class CursorGone(Exception):
    """Another change stands at this place, or none."""


class TooMany(Exception):
    """There are as many with the game already as may be."""


@dataclass(frozen=True)
class Problem:
    """How something is refused; `name` is that of its type, if the status does not say all."""

    status: HTTPStatus
    name: str
    title: str
    detail: str
    headers: Mapping[str, str]


def _problem(status: int, name: str, title: str, detail: str, **headers: str) -> Problem:
    said = {header.replace("_", "-"): value for header, value in headers.items()}
    return Problem(HTTPStatus(status), name, title, detail, said)


PROBLEMS: Mapping[type[Exception], Problem] = {
    Malformed: _problem(400, "malformed", "Not as described", ""),
    Unauthorized: _problem(401, "", "Unauthorized", "Send the shop's token.", WWW_Authenticate="Bearer"),
    NoSuchCustomer: _problem(
        404, "no-such-customer", "No such customer", "The shop has never met this customer."
    ),
    TooFew: _problem(
        409, "too-few", "Too few", "The customer holds fewer. Nothing was used; the key is free."
    ),
    CursorGone: _problem(
        410,
        "cursor-gone",
        "These are not the changes that the cursor comes from",
        "The shop has come back from a backup, or the cursor is another shop's. Forget your sums, and begin "
        "at the start, without `after`.",
    ),
    KeyReused: _problem(
        422, "key-reused", "Key used before", "This key has used something else. Nothing was used now."
    ),
    NotConsumable: _problem(
        422,
        "not-consumable",
        "Not consumable",
        "There is no such item, or it is not used up. Nothing was used.",
    ),
    TooMany: _problem(429, "", "Too Many Requests", "Too many at once.", Retry_After=str(SOON)),
    SQLAlchemyError: _problem(
        503,
        "",
        "Service Unavailable",
        "The shop cannot answer right now. Whether it was done is not known: send it again, with its key.",
        Retry_After=str(LATER),
    ),
}


def answer(error: Exception) -> Answer:
    """What is said of an error of the table above."""
    kind, problem = next(one for one in PROBLEMS.items() if isinstance(error, one[0]))
    if kind is SQLAlchemyError:
        log.error("database did not answer", kind=type(error).__name__, path="/game")
    told = {"held": error.held} if isinstance(error, TooFew) else {}
    return _said(problem, detail=problem.detail or str(error), **told)


def answer_http(error: HTTPException) -> Answer:
    """The same for what the framework refuses."""
    status = HTTPStatus(error.code or 500)
    said = {
        name: value for name, value in error.get_headers() if name not in ("Content-Type", "Content-Length")
    }
    return _said(Problem(status, "", status.phrase, error.description or "", said))


def _said(problem: Problem, **more: object) -> Answer:
    words = {
        "type": f"/game/problems/{problem.name}" if problem.name else PLAIN,
        "title": problem.title,
        "status": problem.status.value,
        "detail": problem.detail,
        **more,
    }
    body = current_app.json.dumps(words).encode() + b"\n"
    return body, problem.status, {**problem.headers, "Content-Type": MEDIA_TYPE}
