"""The signature doctor: a request pasted by hand is looked at as the platform looks at one."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from storefront.mixi import signing
from storefront.sandbox import clock, form_tokens, signatures
from storefront.sandbox.context import Sandbox, sandbox
from storefront.sandbox.language import N_
from storefront.sandbox.mixi.api import PATH
from storefront.sandbox.signatures import METHODS, MISTAKES, Received

MOST = 16 * 1024  # characters of an address or a header
MOST_BODY = 64 * 1024  # more than the point API takes

blueprint = Blueprint("signatures", __name__)


class Unreadable(Exception):
    """What was pasted is no request; the message says what is wrong, in a text of the catalogue."""


@dataclass(frozen=True)
class Pasted:
    """A request as somebody has pasted it."""

    method: str
    address: str
    header: str
    body: str


@blueprint.get("/desk/signatures")
def show() -> ResponseReturnValue:
    """Two fields to paste into."""
    return _page(Pasted("POST", "", "", ""))


@blueprint.post("/desk/signatures")
def explain() -> ResponseReturnValue:
    """What is right and what is wrong about it. Nothing is sent, and nothing is kept."""
    form_tokens.check()
    form = request.form
    pasted = Pasted(
        form.get("method", "POST"),
        form.get("address", "").strip(),
        # As it stands in a trace, with its name in front and broken into lines.
        re.sub(r"^authorization:\s*|[\r\n]+", "", form.get("header", "").strip(), flags=re.IGNORECASE),
        # A browser sends every line end as CRLF, whatever was pasted.
        form.get("body", "").replace("\r\n", "\n"),
    )
    try:
        address, received = _read(sandbox(), pasted)
        steps, explanation = signatures.examine(
            received,
            pasted.method,
            address,
            sandbox().settings.consumer_key,
            sandbox().secrets,
            now=int(clock.now().timestamp()),
            window=sandbox().settings.api_timestamp_skew,
        )
    except Unreadable as unreadable:
        return _page(pasted, wrong=str(unreadable)), 400
    except (signing.BadSignature, ValueError):
        return _page(pasted, wrong=N_("The query or the header cannot be read.")), 400
    return _page(pasted, steps=steps, explanation=explanation)


def _page(pasted: Pasted, **more: object) -> str:
    return render_template(
        "sandbox/desk/signatures.html",
        pasted=pasted,
        methods=METHODS,
        mistakes=MISTAKES,
        differences=signatures.differences,
        lines=signatures.lines,
        **more,
    )


def _read(platform: Sandbox, pasted: Pasted) -> tuple[str, Received]:
    """The address as it has to stand in the base string, and the rest of the request; else Unreadable."""
    parts = urlsplit(pasted.address)
    is_long = max(len(pasted.address), len(pasted.header)) > MOST or len(pasted.body) > MOST_BODY
    if is_long or pasted.method not in METHODS:
        raise Unreadable(N_("That is too long, or its method is none that we know."))
    if parts.scheme not in ("http", "https") or not parts.hostname or not pasted.address.isascii():
        raise Unreadable(N_("The address must be whole and as it was sent: scheme, host, path, query."))
    if not re.match(r"oauth\s+\S", pasted.header, re.IGNORECASE):
        raise Unreadable(N_("The header must begin with OAuth and go on with its parameters."))
    address = urlunsplit(parts._replace(query="", fragment=""))
    if parts.path == PATH and parts.netloc == urlsplit(platform.settings.public_url).netloc:
        address = signing.http_form(address)
    return address, Received(parts.query.encode("ascii"), pasted.header, pasted.body.encode())
