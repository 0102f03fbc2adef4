"""What is configured, and what lies beside the code: secrets, addresses, catalogue, texts."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from storefront import PRICE_RULES, config
from storefront.config import PACKAGE, PREFIX, Settings
from storefront.doctor.finding import Finding, fail, ok, warn
from storefront.mixi.channel import channel
from storefront.mixi.client import Unavailable, fetch
from storefront.mixi.keys import PATIENCE, KeyRing
from storefront.shop import catalog_file
from storefront.shop.catalog_file import CatalogError

NO_KEY = "storefront-doctor"  # a name that mixi has no key by
SHORT_SECRET = 8  # different characters; of 32 random hex digits there are hardly ever so few


def secrets(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    secrets = {
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "MIXI_CONSUMER_SECRET": settings.mixi_consumer_secret.get_secret_value(),
    }
    key, consumer = secrets.values()
    if _is_repetitive(key):
        found = f"{PREFIX}SECRET_KEY repeats itself, and whoever guesses it can write forms for any buyer"
        new = "python3 -c 'import secrets; print(secrets.token_hex(32))'"
        yield fail("secrets", found, f"make a new one: {new}")
    if not consumer.strip():
        yield fail(
            "secrets",
            f"{PREFIX}MIXI_CONSUMER_SECRET is blank",
            "set it to the consumer secret of the application's RESTful API",
        )
    if consumer == key:
        yield fail(
            "secrets",
            f"{PREFIX}SECRET_KEY is the consumer secret",
            "make a key of its own: mixi knows the other one",
        )
    for name in ("SECRET_KEY", "MIXI_CONSUMER_SECRET", "EXTERNAL_SECRET"):
        if getattr(settings, f"{name.lower()}_previous"):
            advice = "take it out when the rotation is over, see the README"
            yield warn("rotation", f"{PREFIX}{name}_PREVIOUS still verifies", advice)
    if consumer.strip() and not _is_repetitive(key) and consumer != key:
        yield ok("secrets", f"the key has {len(key)} characters, the consumer secret {len(consumer)}")


def https(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    exposed = config.exposed(settings)
    for name in exposed:
        found = f"{name} is http: what is said there can be read and changed on the way"
        yield fail("https", found, "let a proxy with a certificate stand there, and write https://")
    if not exposed:
        yield ok("https", "every address that needs it has it, or is on this very machine")


def translations(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    folder = PACKAGE / "translations"
    stale = uncompiled(folder)
    if stale:
        yield fail("translations", f"not compiled: {', '.join(stale)}", "run `storefront texts`")
    else:
        yield ok("translations", "compiled")


def uncompiled(folder: Path) -> list[str]:
    """The languages whose pages do not say what their messages.po says."""
    sources = sorted(folder.glob("*/LC_MESSAGES/messages.po"))
    return [source.parent.parent.name for source in sources if not _is_compiled(source)]


def catalog(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    try:
        entries = catalog_file.read(settings.catalog, PRICE_RULES)
    except CatalogError as error:
        lines = str(error).splitlines()
        more = f" (and {len(lines) - 1} more)" if lines[1:] else ""
        advice = f"mend it; `storefront catalog --check {settings.catalog}` names every line"
        yield fail("catalogue", lines[0] + more, advice)
        return
    rules = (f"{rule.minimum} to {rule.maximum} {rule.unit}" for rule in PRICE_RULES.values())
    yield ok("catalogue", f"{len(entries)} items, priced within {', '.join(rules)}")
    folder = config.folder("static") / "art"
    missing = sorted({entry.art for entry in entries if not (folder / entry.art).is_file()})
    if missing:
        yield fail("art", f"{folder} lacks {', '.join(missing)}", "put the drawings there: pages need them")
    else:
        yield ok("art", "every drawing the catalogue names is there")


def addresses(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    mixi_channel = channel()
    yield ok("callback", f"{mixi_channel.callback_url}/…, with a word of its own for each payment")
    yield ok("finish", mixi_channel.finish_url)
    parts = urlsplit(settings.mixi_container_url)
    if config.names(settings.mixi_container_url).isdisjoint(settings.mixi_platform_hosts):
        yield warn(
            "container",
            f"{parts.netloc} is not in {PREFIX}MIXI_PLATFORM_HOSTS",
            "check that both name the same platform",
        )
    else:
        yield ok("container", f"{parts.netloc} is one of the platform's hosts")


def certificates(settings: Settings, http: requests.Session) -> Iterator[Finding]:
    rings = channel().keys
    if settings.mixi_certificate_url:
        yield from (_published(name, ring) for name, ring in rings.items())
    elif all(rings.values()):
        yield ok("certificates", f"held for {', '.join(rings)}")
    else:
        lacking = ", ".join(name for name, ring in rings.items() if not ring)
        found = f"none of mixi's for {lacking}: what it signs there is refused"
        yield warn("certificates", found, f"add them to {PREFIX}MIXI_CERTIFICATES as channel:name=path")


def _published(name: str, ring: KeyRing) -> Finding:
    """Whether somebody answers where a channel's certificates are, be it that there is none of this name."""
    address = ring.address.replace("{name}", NO_KEY)
    try:
        fetch(ring.line, address, PATIENCE)
    except Unavailable as failure:
        found = f"{address} cannot be fetched ({failure})"
        return fail("certificates", found, f"open the way out, or correct {PREFIX}MIXI_CERTIFICATE_URL")
    return ok("certificates", f"for {name} there is an answer at {ring.address}")


def _is_repetitive(secret: str) -> bool:
    period = next(n for n in range(1, len(secret) + 1) if secret.startswith(secret[n:]))
    return period <= len(secret) // 2 or len(set(secret)) < SHORT_SECRET


def _is_compiled(source: Path) -> bool:
    compiled = source.with_suffix(".mo")
    if not compiled.exists():
        return False
    with source.open("rb") as written, compiled.open("rb") as read:
        wanted = {one.id: one.string for one in read_po(written) if one.id and one.string and not one.fuzzy}
        return wanted == {one.id: one.string for one in read_mo(read) if one.id}
