"""What is configured, and what lies beside the code: secrets, addresses, catalogue, texts."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import requests
from babel.messages.mofile import read_mo
from flask import current_app
from pydantic import SecretStr

from storefront import COUNTERS, Settings, config, texts
from storefront import metrics as numbers
from storefront.config import PACKAGE, PREFIX
from storefront.findings import Finding, fail, ok, warn
from storefront.rim import Secret, rims
from storefront.shop import catalog_file, counter
from storefront.shop.catalog_file import CatalogError
from storefront.texts import Unreadable

NEW = "python3 -c 'import secrets; print(secrets.token_hex(32))'"
RISKS = {"secret_key": "write forms for any buyer", "metrics_token": "read the numbers"}
OURS = [
    Secret(
        "metrics_token",
        called="the token of the metrics",
        blank=f"make one: {NEW}",
        ours_too="make a token of its own: who reads the numbers knows it",
    )
]
QUOTES = ("'", '"')
SHORT_SECRET = 8  # different characters; of 32 random hex digits there are hardly ever so few


def secrets(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    key = settings.secret_key.get_secret_value()
    known = [*OURS, *(one for room in rims() for one in room.secrets)]
    shared = {one: secret for one in known if (secret := _value(settings, one.field)) is not None}
    wrong = [*_weak(settings), *_shared(key, shared)]
    yield from wrong
    yield from _quoted(settings)
    yield from _rotations(settings)
    if not wrong:
        others = (f", {one.called} {len(secret)}" for one, secret in shared.items())
        yield ok("secrets", f"the key has {len(key)} characters{''.join(others)}")


def _weak(settings: Settings) -> Iterator[Finding]:
    for name, field in Settings.model_fields.items():
        secret = _value(settings, name) if config.is_made(field) else None
        if secret and _is_repetitive(secret):
            risk = f"whoever guesses it can {RISKS.get(name, 'use it')}"
            found = f"{PREFIX}{name.upper()} repeats itself, and {risk}"
            yield fail("secrets", found, f"make a new one: {NEW}")


def _shared(key: str, shared: Mapping[Secret, str]) -> Iterator[Finding]:
    for one, secret in shared.items():
        if not secret.strip():
            yield fail("secrets", f"{PREFIX}{one.field.upper()} is blank", one.blank)
        if secret == key:
            found = f"{PREFIX}SECRET_KEY is {one.called}, {PREFIX}{one.field.upper()}"
            yield fail("secrets", found, one.ours_too)


def _value(settings: Settings, field: str) -> str | None:
    secret = getattr(settings, field)
    return None if secret is None else str(secret.get_secret_value())


def _quoted(settings: Settings) -> Iterator[Finding]:
    for name in Settings.model_fields:
        value = getattr(settings, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str) and text[1:] and text[0] == text[-1] in QUOTES:
            found = f"{PREFIX}{name.upper()} stands in quotes, and they are part of it"
            yield warn("quotes", found, "take them out: docker --env-file keeps them, a shell does not")


def _rotations(settings: Settings) -> Iterator[Finding]:
    for name in Settings.model_fields:
        if name.endswith("_previous") and getattr(settings, name):
            advice = "take it out when the rotation is over, see storefront/README.md"
            yield warn("rotation", f"{PREFIX}{name.upper()} still verifies", advice)


def https(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    exposed = config.exposed(settings)
    for name in exposed:
        risk = config.risk(settings, name)
        if risk:
            yield warn("https", f"{name} is http: {risk}", "write https:// if the platform answers there")
        else:
            found = f"{name} is http: what is said there can be read and changed on the way"
            yield fail("https", found, "let a proxy with a certificate stand there, and write https://")
    if not exposed:
        yield ok("https", "every address that needs it has it, or is on this very machine")


def metrics(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    if settings.metrics_token is None:
        return
    folder = numbers.folder(settings, current_app.instance_path)
    there = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        yield ok("metrics", f"{folder} {'is' if there == folder else 'can be made'}")
    else:
        found = f"{folder} cannot be {'written' if there == folder else f'made: look at {there}'}"
        yield fail("metrics", found, f"correct {PREFIX}METRICS_FOLDER: no server starts without it")


def translations(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    folder = PACKAGE / "translations"
    try:
        wrong, stale = slips(folder), uncompiled(folder)
    except Unreadable as error:
        yield fail("translations", error.message, "mend it, then run `storefront texts`")
        return
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if wrong[1:] else ""
        yield fail("translations", wrong[0] + more, "mend it, then run `storefront texts`")
    elif stale:
        yield fail("translations", f"not compiled: {', '.join(stale)}", "run `storefront texts`")
    else:
        yield ok("translations", "compiled")


def uncompiled(folder: Path) -> list[str]:
    """The languages whose pages do not say what their messages.po says."""
    return [_language(source) for source in _sources(folder) if not _is_compiled(source)]


def slips(folder: Path) -> list[str]:
    """The translations that no page could fill in."""
    return [line for source in _sources(folder) for line in texts.slips(source, _language(source))]


def catalog(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    prices = counter.price_rules(COUNTERS)
    try:
        entries = catalog_file.read(settings.catalog, prices)
    except CatalogError as error:
        lines = str(error).splitlines()
        more = f" (and {len(lines) - 1} more)" if lines[1:] else ""
        advice = f"mend it; `storefront catalog --check {settings.catalog}` names every line"
        yield fail("catalogue", lines[0] + more, advice)
        return
    by_unit = sorted(prices.values(), key=lambda rule: rule.unit)
    rules = ", ".join(map(str, by_unit))
    yield ok("catalogue", f"{len(entries)} items, priced within {rules}")
    folder = config.folder("static") / "art"
    missing = sorted({entry.art for entry in entries if not (folder / entry.art).is_file()})
    if missing:
        yield fail("art", f"{folder} lacks {', '.join(missing)}", "put the drawings there: pages need them")
    else:
        yield ok("art", "every drawing the catalogue names is there")


def _is_repetitive(secret: str) -> bool:
    period = next(n for n in range(1, len(secret) + 1) if secret.startswith(secret[n:]))
    return period <= len(secret) // 2 or len(set(secret)) < SHORT_SECRET


def _sources(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/LC_MESSAGES/messages.po"))


def _language(source: Path) -> str:
    return source.parent.parent.name


def _is_compiled(source: Path) -> bool:
    compiled = source.with_suffix(".mo")
    if not compiled.exists():
        return False
    written = texts.read(source, _language(source))
    with compiled.open("rb") as read:
        return texts.said(filter(texts.is_translated, written)) == texts.said(read_mo(read))
