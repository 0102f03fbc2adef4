"""Others whose weather is set here and strikes elsewhere: the payment provider, and who started the shop.

Each stands at an address of its own and asks for a word that only we share with it.
"""

from contextlib import suppress

import requests

from storefront.sandbox import weather
from storefront.sandbox.context import Sandbox
from storefront.sandbox.kinds import Where
from storefront.sandbox.stage import Stage
from storefront.sandbox.weather import Weather

SECONDS = 5


class Deaf(Exception):
    """The neighbour did not do it."""


def bring(sandbox: Sandbox, row: Weather) -> None:
    """Let the provider have this weather, if it is the provider's. Deaf if nobody is there to do it."""
    if row.what.where is Where.MACHINE and not sandbox.settings.machine_url:
        raise Deaf(row.kind)
    if row.what.where is Where.PROVIDER:
        told = {"kind": row.kind, "left": row.left, "seconds": row.seconds}
        chance = {"chance": row.chance, "seed": row.seed}
        _ask(sandbox, "PUT", f"{_provider(sandbox)}/weather/{row.id}", {**told, **chance})


def take_away(sandbox: Sandbox, row: Weather) -> None:
    """The provider has this weather no longer."""
    if row.what.where is Where.PROVIDER:
        _ask(sandbox, "DELETE", f"{_provider(sandbox)}/weather/{row.id}", None)


def leave(sandbox: Sandbox, on: Stage) -> None:
    """Nobody plays on this stage any more: what it has set at the provider must not strike the others."""
    for row in weather.standing(on):
        if row.what.where is Where.PROVIDER:
            weather.clear(on, row.id)
            # Whoever is deaf now forgets it when it would strike.
            with suppress(Deaf):
                take_away(sandbox, row)


def hold(sandbox: Sandbox, row: Weather) -> bool:
    """Whoever started the shop holds its workers, or its database, for so long, from now on.

    False if they cannot: they hold one thing at a time, and it may be another stage's.
    """
    settings = sandbox.settings
    url = f"{settings.machine_url}/{row.kind.removeprefix('shop.')}"
    told: dict[str, object] = {"seconds": row.seconds or 1}
    with suppress(Deaf):
        _ask(sandbox, "POST", url, told, token=settings.machine_token.get_secret_value())
        return True
    return False


def _provider(sandbox: Sandbox) -> str:
    return sandbox.settings.provider_url


def _ask(
    sandbox: Sandbox, method: str, url: str, told: dict[str, object] | None, token: str | None = None
) -> None:
    word = sandbox.settings.provider_token.get_secret_value() if token is None else token
    headers = {"Authorization": f"Bearer {word}", "Connection": "close"}
    try:
        answer = sandbox.http.request(
            method, url, json=told, headers=headers, timeout=SECONDS, allow_redirects=False
        )
    except (requests.RequestException, OSError, ValueError):
        raise Deaf(url) from None
    if not answer.ok:
        raise Deaf(url)
