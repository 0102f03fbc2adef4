"""The store's consent screen and its tokens, by OAuth 2 (authorisation code).

A token says what the app may do in a shop, and by what `shop.json` answers to it, whose shop that is.
"""

import os
from codecs import BOM_UTF8
from typing import Any

import requests
from oauthlib.oauth2 import OAuth2Error
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError
from requests_oauthlib import OAuth2Session
from urllib3.exceptions import HTTPError

from storefront.bounded import TooLarge, read
from storefront.clock import Deadline, TooLate
from storefront.colorme.channel import Channel, Crowded, channel
from storefront.colorme.settings import ColormeSettings, secret
from storefront.colorme.tokens import GOOD_TOKEN

SCOPE = "write_application_charge"
AUTHORISE, TOKEN = "/oauth/authorize", "/oauth/token"  # addresses
MOST_BYTES = 16 * 1024


class SpentCode(Exception):
    """The store knows no such code, or not any more."""


class NoToken(Exception):
    """The store gave none, and said nothing that could be understood; or it does not know our keys."""


class _Session(OAuth2Session):
    """Through the connections that the room keeps; an answer has an end in bytes and in time."""

    def __init__(self, store: Channel, **more: Any) -> None:
        super().__init__(store.settings.colorme_client_id, redirect_uri=store.return_url, **more)
        self.trust_env = False
        self.store = store
        for address in ("https://", "http://"):
            self.mount(address, store.http.get_adapter(store.api("/")))

    def request(self, method: str, url: str, *rest: Any, **more: Any) -> requests.Response:  # type: ignore[override]  # as its caller has it
        told = {**more, "timeout": self.store.timeouts.within(), "stream": True, "allow_redirects": False}
        with self.store.gate_for_codes.place():
            deadline = Deadline.after(self.store.timeouts.total)
            answer: requests.Response = super().request(method, url, *rest, **told)
            with answer:
                body = read(answer, deadline.left(), MOST_BYTES, decoded=True)
                answer._content = body.removeprefix(BOM_UTF8)
                answer._content_consumed = True  # type: ignore[attr-defined]  # so that nobody reads on
        return answer


def init_app(settings: ColormeSettings) -> None:
    if not settings.colorme_api_url.startswith("https:"):
        # The library takes no http, not even this machine's; the doctor warns of any other.
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"


def consent_url(state: str) -> str:
    """Where a shop owner says whether the app may."""
    url, _ = _Session(channel(), scope=[SCOPE], state=state).authorization_url(channel().api(AUTHORISE))
    return str(url)


def token(code: str) -> str:
    """The token for a code. Raises SpentCode or NoToken."""
    store = channel()
    try:
        given = _Session(store).fetch_token(
            store.api(TOKEN),
            code=code,
            include_client_id=True,
            client_secret=secret(store.settings.colorme_client_secret),
        )
        found = given["access_token"]
    except (InvalidGrantError, InvalidRequestError) as refusal:
        raise SpentCode from refusal
    except (
        OAuth2Error,
        requests.RequestException,
        HTTPError,
        OSError,
        Crowded,
        TooLarge,
        TooLate,
    ) as failure:
        raise NoToken(type(failure).__name__) from failure
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as failure:
        raise NoToken(type(failure).__name__) from failure
    if not (isinstance(found, str) and GOOD_TOKEN.fullmatch(found)):
        raise NoToken("it is none")
    if not _may_charge(given.get("scope")):
        raise NoToken(f"it is not for {SCOPE}")
    return found


def _may_charge(scope: object) -> bool:
    """Whether a token is for what we ask. The store may grant more, and need not say it (RFC 6749, 5.1)."""
    said = " ".join(map(str, scope)) if isinstance(scope, list) else str(scope or "")
    named = said.replace(",", " ").split()
    return not named or SCOPE in named
