"""Hostile inputs by the hundred thousand: `python -m tests.proof.fuzz --inputs 100000 --seed 1`.

Four parts: `signatures` (Consumer.verify), `atom` (PointEntry.read), `callbacks` (the real application's
/mixi/callback) and `pages` (every route). Most inputs begin as valid ones and are changed in one to
three places; a correct signature is often put under the changed request, since what is signed is what
gets through. A part prints how its inputs ended and which took longest. The exit status is 1 if anything
went wrong, and the input is printed as a literal, which `--input` sends again.

The clock stands still, and what is random in the shop is counted: a seed gives the same inputs again.
"""

import argparse
import ast
import inspect
import io
import itertools
import logging
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import FrameType, SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

import itsdangerous.timed
import requests
import structlog
from flask import Flask
from lxml import html
from sqlalchemy import func, select
from werkzeug.routing import MapAdapter

from storefront import Settings, clock, create_app
from storefront.db import db
from storefront.mixi import signing
from storefront.mixi.atom import CODE_LENGTH, PointEntry, Unreadable
from storefront.mixi.payments import Payment, Status
from storefront.mixi.signing import BadSignature, Consumer, is_opaque
from storefront.sandbox import key_pairs
from storefront.sandbox.key_pairs import KeyPair
from storefront.sandbox.signing import rsa_sha1
from storefront.shop import form_tokens
from storefront.shop.inventory import Grant, Kind
from storefront.shop.ledger import Entry
from tests import postgresql
from tests.databases import fill, new_database
from tests.street import (
    APP_ID,
    CONSUMER_KEY,
    CONSUMER_SECRET,
    HANAKO,
    PLATFORM,
    SETTINGS,
    SHOP,
    TARO,
    ScriptedApi,
    for_all,
)
from tests.wire import Wire

NOW = 1_800_000_000
WINDOW = 600
SHOWN = 3  # violations of a kind that are printed whole
HANG = 20  # seconds after which an input is given up
LONG = 5.0  # seconds that an input may take
SECRET_KEY = "a secret of the fuzz, and of nobody else"
METRICS_TOKEN = "the token of the fuzz, known to nobody"
EXTERNAL_SECRET = "the provider's secret, known to nobody else"
SECRETS = (CONSUMER_SECRET, SECRET_KEY, METRICS_TOKEN, EXTERNAL_SECRET)
CALLBACK = "/mixi/callback"
LIFECYCLE = "/mixi/lifecycle"
PUBLISHER_KEY = "lc_20991231"
PAYMENTS = 60  # that callbacks can be about


class Violation(Exception):
    """An input did what none may do."""


class Hung(Exception):
    """An input took so long that it was given up."""


class Request(NamedTuple):
    """A request as it comes off the socket; `path` is percent-decoded and in latin-1, as WSGI has it."""

    method: str
    path: str
    query: bytes
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Claim(NamedTuple):
    """What Consumer.verify is asked; `signed` says that the signature is right."""

    method: str
    url: str
    query: bytes
    authorization: str | None
    now: int
    signed: bool


@dataclass
class Tally:
    """How the inputs of a part ended."""

    part: str
    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[str, object]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, object] = (0.0, None)
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [f"{self.part}: {self.outcomes.total():,} inputs in {self.seconds:.1f} s"]
        lines += [f"  {number:>9,}  {outcome}" for outcome, number in self.outcomes.most_common()]
        took, slow = self.slowest
        literal = repr(slow)
        shown = literal if len(literal) <= 400 else f"{literal[:400]}… ({len(literal):,} characters)"
        lines.append(f"  slowest: {took * 1000:.1f} ms, {shown}")
        lines += [f"  VIOLATION: {reason}\n    {found!r}" for reason, found in self.violations]
        lines += [f"  {number:,} VIOLATIONS: {kind}…" for kind, number in self.kinds.items()]
        return "\n".join(lines)

    def violated(self, reason: str, found: object) -> None:
        """Count a violation, and keep the first of its kind."""
        kind = reason[:30]
        self.kinds[kind] += 1
        if self.kinds[kind] <= SHOWN:
            self.violations.append((reason, found))


# Hostile words and their mixture


WORDS = (
    "", " ", "\0", "%00", "\r\n", "%0d%0aSet-Cookie:%20a=b", "\t", "-1", "0", "00", "1e9", "NaN", "٣", "１０",
    "²", "9" * 20, "9" * 400, "2147483648", "-9223372036854775809", "9223372036854775808", "10", "20", "30",
    "10.0", "0x10", "+10", "10 ", "null", "None", "true", "[]", "{}", "$(id)", "`id`", "{{7*7}}", "{%x%}",
    "%s%n", "'", '"', "' OR 1=1 --", '";DROP TABLE payment;--', "<script>alert(1)</script>",
    "../../../etc/passwd", "..%2f..%2f", "//evil.example/", "http://evil.example/", "javascript:alert(1)",
    "file:///etc/passwd", "\\", "%", "%%", "%2", "%zz", "%ff%fe", "%c0%ae", "%ed%a0%80", "%F0%9F%92%A9",
    "\xff\xfe", "é", "\x7f", "\x1b[31m", "a" * 41, "a" * 65, "a" * 300, "a" * 5000, ";", "&", "=", "&&==",
    "#", "?", ",", "+", "loaf", "excalibur", HANAKO, TARO, APP_ID, "12346", "never-made",
    "2009-09-03T06:34:29Z", "2027-02-30T25:61:61Z", "lang", "page", "opensocial_owner_id",
    "opensocial_app_id", "point_code", "status", "updated", "token", "item", "oauth_nonce",
)  # fmt: skip
# Words with a meaning for the framework, which a stranger's parameter of that name must not have.
KEYWORDS = (
    *(name for build in (Flask.url_for, MapAdapter.build) for name in inspect.signature(build).parameters),
    "filename", "item_id", "static", "code", "name", "_method", "_fragment", "request", "g", "session",
)  # fmt: skip
OTHER_HEADERS = (
    ("Host", "evil.example"), ("Host", ""), ("Host", "[::1"), ("Host", "a:b:c"), ("Host", "a..b"),
    ("Host", "shop.test:99999999"), ("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Proto", "https"), ("X-HTTP-Method-Override", "DELETE"),
    ("Cookie", "session=eyJhIjoxfQ.x.y"), ("Cookie", "a" * 5000), ("Content-Type", "application/json"),
    ("Content-Type", "multipart/form-data; boundary=x"), ("Content-Type", "multipart/form-data"),
    ("Content-Type", "application/x-www-form-urlencoded; charset=utf-7"),
    ("Content-Type", "text/xml; charset=nowhere"), ("Content-Type", "\xff"), ("Content-Length", "-1"),
    ("Content-Length", "99999999999999999999"), ("Content-Length", "abc"), ("Content-Length", "1"),
    ("Transfer-Encoding", "chunked"), ("Accept-Language", "en;q=abc,ja;q=1e999"),
    ("Accept-Language", "*" * 3000), ("Accept-Language", "de-DE-x-y-z;q=0.1,;;;,en"),
    ("Accept", "\xff/\xff;q=NaN"), ("Range", "bytes=-1"), ("Range", "bytes=0-0,1-1,5-2"),
    ("If-Modified-Since", "Thu, 99 Foo 99999 99:99:99 GMT"), ("If-None-Match", '"' * 200),
    ("If-Range", "\x80"), ("Authorization", "Basic dTpw"), ("Authorization", "Bearer x"),
    ("Authorization", "OAuth"), ("Authorization", "OAuth ,,,=,"), ("Authorization", "Digest \xff"),
    ("Authorization", "Basic \xff"), ("Authorization", "Bearer \xff"), ("Referer", "\xff"),
    ("User-Agent", "\x80" * 500), ("Origin", "null"), ("Expect", "100-continue"), ("Upgrade", "websocket"),
    ("Date", "now"),
)  # fmt: skip
METHODS = (
    "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "G\xe9T", "X" * 50,
    "CONNECT",
)  # fmt: skip


def seeded(seed: str) -> Random:
    """Chance that can be had again."""
    return Random(seed)  # noqa: S311  # nothing secret hangs on it


def mixed(random: Random, sound: str) -> str:
    """The text, changed in one place."""
    at = random.randrange(len(sound) + 1)
    to = min(len(sound), at + random.choice((1, 1, 2, 8, 40)))
    return random.choice(
        (
            lambda: sound[:at] + sound[to:],
            lambda: sound[:at] + sound[at:to] * random.choice((2, 3, 50)) + sound[to:],
            lambda: sound[:at] + random.choice(WORDS) + sound[at:],
            lambda: sound[:at] + random.choice(WORDS) + sound[to:],
            lambda: sound[:at] + chr(random.randrange(256)) + sound[at + 1 :],
            lambda: sound[to:] + sound[at:to] + sound[:at],
            lambda: "".join(f"%{ord(letter) & 255:02{random.choice('xX')}}" for letter in sound[at:to]).join(
                (sound[:at], sound[to:])
            ),
            lambda: sound.swapcase(),
        )
    )()


def noise(random: Random, longest: int = 200) -> bytes:
    """Random bytes."""
    return random.randbytes(random.randrange(longest))


def latin(content: bytes) -> str:
    return content.decode("latin-1")


def octets(content: str) -> bytes:
    """The bytes that this text stands for; what is no byte becomes UTF-8."""
    return b"".join(letter.encode("latin-1" if letter < "\u0100" else "utf-8") for letter in content)


def query_of(pairs: Iterable[tuple[str, str]]) -> bytes:
    """The parameters as a well-formed query."""
    return "&".join(
        f"{quote_plus(octets(name))}={quote_plus(octets(value))}" for name, value in pairs
    ).encode()


def mixed_pairs(random: Random, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The parameters, changed in one place: a name, a value, or which there are."""
    changed = list(pairs)
    at = random.randrange(len(changed)) if changed else 0
    kind = random.randrange(8) if changed else 6
    if kind == 0:
        del changed[at]
    elif kind == 1:
        changed.append(changed[at])
    elif kind == 2:
        changed[at] = (changed[at][0], random.choice(WORDS))
    elif kind == 3:
        changed[at] = (changed[at][0], mixed(random, changed[at][1]))
    elif kind == 4:
        changed[at] = (mixed(random, changed[at][0]), changed[at][1])
    elif kind == 5:
        changed.insert(at, (changed[at][0], random.choice(WORDS)))
    elif kind == 6:
        changed.insert(at, (random.choice(WORDS), random.choice(WORDS)))
    else:
        random.shuffle(changed)
    return changed


def written(random: Random, pairs: Sequence[tuple[str, str]]) -> bytes:
    """The parameters as a query, at times badly encoded."""
    if random.random() < 0.15:
        return octets("&".join(f"{name}={value}" for name, value in pairs))
    if random.random() < 0.1:
        return octets(mixed(random, latin(query_of(pairs))))
    return query_of(pairs)


def shaken(random: Random, query: bytes) -> bytes:
    """A query that is one no more, or hardly."""
    kind = random.randrange(5)
    if kind == 0:
        return noise(random)
    if kind == 1:
        return query + b"&a=1" * random.choice((90, 101, 2000))
    if kind == 2:
        return query + b"&x=" + b"a" * random.choice((1000, 60_000))
    if kind == 3:
        return b"&" * 500 + query
    return query + b"&" + noise(random, 30)


# The Authorization header


def oauth(random: Random, **changes: str) -> list[tuple[str, str]]:
    """Good OAuth parameters."""
    values = {
        "oauth_consumer_key": CONSUMER_KEY,
        "oauth_nonce": f"{random.getrandbits(80):020x}",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": str(NOW),
        "oauth_version": "1.0",
    }
    return [(name, latin(octets(value))) for name, value in (values | changes).items()]


def header(pairs: Sequence[tuple[str, str]]) -> str:
    quoted = (f'{quote(octets(name), safe="")}="{quote(octets(value), safe="")}"' for name, value in pairs)
    return f"OAuth {', '.join(quoted)}"


def signature(
    method: str, url: str, query: bytes, pairs: Sequence[tuple[str, str]], sign: Callable[[str], str]
) -> str:
    """The right signature of what may be signed at all; else a wrong one."""
    try:
        return sign(signing.base_string(method, url, signing.query_pairs(query), pairs))
    except (BadSignature, ValueError):
        return "x"


def hmac(base: str) -> str:
    return signing.hmac_sha1(base, CONSUMER_SECRET)


# Part: signatures


class Signatures:
    """Consumer.verify: nothing but BadSignature leaves it, and only what was signed gets through."""

    name = "signatures"
    consumer = Consumer(CONSUMER_KEY, (CONSUMER_SECRET, "the secret before it"))
    url = f"{SHOP}/items/loaf"

    def draw(self, random: Random) -> Claim:
        pairs = [("opensocial_app_id", APP_ID), ("opensocial_owner_id", HANAKO), ("lang", "en")]
        method, url, now = "GET", self.url, NOW
        query = query_of(pairs)
        params = oauth(random)
        right = random.random() < 0.4  # signed as it is sent, or changed after it was signed
        given = signature(method, url, query, params, hmac)
        for _ in range(random.randrange(1, 4)):
            kind = random.randrange(8)
            if kind == 0:
                params = mixed_pairs(random, params)
            elif kind == 1:
                params = mixed_pairs(random, [(name, value) for name, value in params])
                given = mixed(random, given) if random.random() < 0.5 else given
            elif kind == 2:
                pairs = mixed_pairs(random, pairs)
                query = written(random, pairs)
            elif kind == 3:
                query = shaken(random, query)
            elif kind == 4:
                method = random.choice(METHODS)
            elif kind == 5:
                url = f"{SHOP}/{mixed(random, url.removeprefix(SHOP)[1:])}"
            elif kind == 6:
                now += random.choice((-1, 1, 599, 600, 601, -601, 10**9, -NOW, 10**18))
            else:
                params = oauth(
                    random, oauth_timestamp=random.choice((*WORDS, str(NOW - 600), "1_800_000_000"))
                )
        if right:
            given = signature(method, url, query, params, hmac)
        authorization: str | None = header([*params, ("oauth_signature", given)])
        shake = random.random()
        if shake < 0.2:
            authorization = mixed(random, str(authorization))
        elif shake < 0.25:
            authorization, right = latin(noise(random)), False
        elif shake < 0.28:
            authorization, right = "OAuth " + latin(noise(random)), False
        elif shake < 0.29:
            authorization, right = None, False
        elif shake < 0.3:
            authorization = str(authorization).replace(
                "OAuth ", "OAuth " + 'realm="x", ' * random.choice((1, 3000))
            )
        return Claim(method, url, query, authorization, now, right)

    def act(self, claim: Claim) -> str:
        method, url, query, authorization, now, signed = claim
        try:
            found = self.consumer.verify(method, url, query, authorization, now=now, window=WINDOW)
        except BadSignature as refusal:
            return refusal.problem
        if not signed and not self._same(claim, found):
            raise Violation(f"believed without a signature: {found.params}")
        return "believed, newly signed" if signed else "believed, the same request otherwise written"

    def _same(self, claim: Claim, found: signing.Signed) -> bool:
        """Whether it is, to whoever reads its parameters, what was signed in the beginning."""
        sound = {("opensocial_app_id", APP_ID), ("opensocial_owner_id", HANAKO), ("lang", "en")}
        said = {pair for pair in found.params if not pair[0].startswith("oauth_")}
        address = urlsplit(claim.url)
        there = f"{address.scheme}://{address.netloc}{address.path}"
        known = there.lower() == self.url or there.lower().startswith(f"{self.url};")
        return claim.method.upper() == "GET" and known and said <= sound and len(found.params) < 10

    def close(self) -> None:
        pass


# Part: atom


class Atom:
    """PointEntry.read: nothing but Unreadable leaves it; what comes out is a code, and texts."""

    name = "atom"
    entry = (
        '<?xml version="1.0" encoding="utf-8"?>\n<entry xmlns="http://www.w3.org/2005/Atom" '
        'xmlns:app="http://www.w3.org/2007/app" xmlns:point="http://mixi.jp/atom/ns#point">\n<title />'
        "<id>7HBcfrCFnpHf7nCew3sy</id><updated>2009-09-03T06:34:29Z</updated><author><name /></author>"
        '<link rel="related" href="http://platform.test/point/1?a=b&amp;c=d"/>'
        '<content type="text/xml"><point:status is_test="true">complete</point:status></content></entry>'
    )
    encodings = ("utf-8", "utf-16", "utf-16-be", "utf-32", "shift_jis", "euc_jp", "utf-7", "cp037", "latin-1")
    declared = (
        "utf-16",
        "UTF-7",
        "Shift_JIS",
        "EBCDIC-CP-US",
        "nowhere",
        "",
        "utf-8\0",
        "ISO-2022-JP",
        "UCS-4",
        "x" * 300,
    )
    doctypes = (
        '<!DOCTYPE e [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>',
        '<!DOCTYPE e [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE e [<!ENTITY % a SYSTEM "http://evil.example/x.dtd"> %a;]>',
        '<!DOCTYPE e SYSTEM "http://evil.example/x.dtd">',
        '<!DOCTYPE e PUBLIC "x" "file:///dev/zero">',
        '<!DOCTYPE e [<!ATTLIST entry x CDATA "y"><!ENTITY a "<id>b</id>">]>',
        "<!DOCTYPE e [" + "".join(f'<!ENTITY a{n} "&a{n - 1};&a{n - 1};">' for n in range(1, 40)) + "]>",
    )
    pieces = (
        "<id>a</id>", "<id/>", "<id>" + "x" * 41 + "</id>", "<id>&a;</id>", "<id><b/>x</id>",
        "<id><!-- -->x</id>", "<id><?p q?>x</id>", "<id><![CDATA[x]]></id>", "&a;", "&c;", "&#0;",
        "&#x1F4A9;", "&#xD800;", "&#99999999999;", "<!-- -- -->", "<?xml version='1.0'?>", "<![CDATA[",
        "]]>", "<link rel='related'/>", "<link/>", "<link rel='related' href='javascript:x'/>",
        "<point:status/>", "<point:status>pay_back</point:status>", "<x:y/>", "<a xmlns:xml='b'/>",
        "<a xmlns=''>", "<xi:include href='/etc/passwd' xmlns:xi='http://www.w3.org/2001/XInclude'/>", "\0",
        "\ufffe", "\uffff", "\ufeff", "\x0b", "<id xml:space='preserve'> a </id>", "<a b='1' b='2'/>",
    )  # fmt: skip

    def draw(self, random: Random) -> bytes:
        kind = random.randrange(20)
        if kind == 0:
            return noise(random, 2000)
        if kind == 1:
            return octets(self.entry[: random.randrange(len(self.entry))])
        entry = self.entry
        for _ in range(random.randrange(1, 4)):
            entry = self._changed(random, entry)
        if kind == 2:
            return self._bytes(random, entry)
        if kind == 3:
            encoding = random.choice(self.encodings)
            declared = random.choice((encoding, *self.declared))
            return entry.replace("utf-8", declared, 1).encode(encoding, "replace")
        return entry.encode("utf-8", "surrogatepass")

    def _changed(self, random: Random, entry: str) -> str:
        kind = random.randrange(12)
        if kind == 0:
            return entry.replace("<entry", random.choice(self.doctypes) + "<entry", 1)
        if kind == 1:
            tag = random.choice(("id", "title", "content", "author", "link"))
            return entry.replace(f"<{tag}", random.choice(self.pieces) + f"<{tag}", 1)
        if kind == 2:
            length = random.choice((1000, 50_000, 70_000, 200_000))
            return entry.replace("<id>", f'<id a="{random.choice("a&<x")[0] * length}">', 1)
        if kind == 3:
            deep = random.choice((10, 255, 257, 5000, 20_000))
            return entry.replace("<title />", "<a>" * deep + "</a>" * random.choice((deep, deep - 1, 0)), 1)
        if kind == 4:
            many = "".join(f' a{n}="{n}"' for n in range(random.choice((10, 2000, 6000))))
            return entry.replace("<title ", f"<title{many} ", 1)
        if kind == 5:
            old, new = random.choice(
                (("Atom", "Atum"), ("2005", "2006"), ("point:", "p:"), ("entry", "feed"))
            )
            return entry.replace(old, new, random.choice((1, 2, 9)))
        if kind == 6:
            return entry.replace("7HBcfrCFnpHf7nCew3sy", random.choice(WORDS), 1)
        if kind == 7:
            return entry.replace("http://platform.test/point/1", random.choice(WORDS), 1)
        if kind == 8:
            return entry.replace("complete", random.choice((*self.pieces, *WORDS)), 1)
        if kind == 9:
            return (
                random.choice(self.pieces) + entry
                if random.random() < 0.5
                else entry + random.choice(self.pieces)
            )
        if kind == 10:
            return entry + entry
        return mixed(random, entry)

    def _bytes(self, random: Random, entry: str) -> bytes:
        content = bytearray(entry.encode("utf-8", "surrogatepass"))
        for _ in range(random.randrange(1, 20)):
            content[random.randrange(len(content))] = random.randrange(256)
        return bytes(content)

    def act(self, document: bytes) -> str:
        try:
            entry = PointEntry.read(document)
        except Unreadable as refusal:
            return str(refusal)
        if not is_opaque(entry.code, CODE_LENGTH):
            raise Violation(f"the code {entry.code!r}")
        if any(not isinstance(one, str | None) for one in (entry.interface_url, entry.status)):
            raise Violation(f"no texts: {entry}")
        if b"ENTITY" in document and "root:" in f"{entry}":
            raise Violation("an entity was fetched")
        return "read"

    def close(self) -> None:
        pass


# The real application


class Api(ScriptedApi):
    """A point API that counts its payments, and has completed each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = (f"fuzz{number:06d}" for number in itertools.count())

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        asked = dict(parse_qsl(environ["QUERY_STRING"])).get("point_code")
        start_response("200 OK", [("Content-Type", "application/atom+xml;type=entry;charset=utf-8")])
        return [self.entry(asked or next(self.codes))]


class Shop:
    """The real application on a database of its own, and everything it logs."""

    def __init__(self, database_url: str, folder: Path, stack: ExitStack) -> None:
        self.lines = io.StringIO()
        numbers = itertools.count()
        stack.enter_context(mock.patch.object(clock, "now", return_value=datetime.fromtimestamp(NOW, UTC)))
        stack.enter_context(mock.patch.object(itsdangerous.timed, "time", SimpleNamespace(time=lambda: NOW)))
        counted = SimpleNamespace(token_urlsafe=lambda _: f"token{next(numbers):011d}")
        stack.enter_context(mock.patch.object(form_tokens, "secrets", counted))
        stack.enter_context(mock.patch.dict("os.environ"))
        self.pair: KeyPair = key_pairs.keep(folder / "keys", PUBLISHER_KEY)
        http = requests.Session()
        http.mount(PLATFORM, Wire(Api()))
        self.app: Flask = create_app(self._settings(database_url, folder), http)
        self._listen(stack)
        fill(self.app)
        stack.callback(self._dispose)
        self.words: dict[str, str] = {}
        self.codes = [self._start("loaf") for _ in range(PAYMENTS)]

    def ask(self, asked: Request) -> tuple[int, dict[str, str], str]:
        """Send a request as a server would hand it over; status, headers, body."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": asked.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": asked.path,
            "QUERY_STRING": latin(asked.query),
            "SERVER_NAME": "shop.test",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "shop.test:8000",
            "CONTENT_LENGTH": str(len(asked.body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(asked.body),
            "wsgi.errors": self.lines,
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in asked.headers:
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        begun: list[tuple[int, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], failure: Any = None, /) -> Any:
            begun.append((int(status.split()[0]), headers))

        answer = self.app.wsgi_app(environ, start_response)
        try:
            body = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        ((status, headers),) = begun
        return status, {name.lower(): value for name, value in headers}, body.decode("utf-8", "replace")

    def checked(self, asked: Request) -> tuple[int, str]:
        """The same, held against what no answer may be."""
        self.lines.seek(0)
        self.lines.truncate()
        status, headers, body = self.ask(asked)
        log = self.lines.getvalue()
        if status >= 500 and status != 503:
            raise Violation(f"status {status}; {log[-1500:]}")
        if "Traceback" in body or "Traceback" in log:
            raise Violation(f"a traceback; {log[-1500:]}")
        if "database did not answer" in log or "database did not answer" in body:
            raise Violation(f"the database refused it; {log[-500:]}")
        if "set-cookie" in headers:
            raise Violation("a cookie")
        if any("\r" in value or "\n" in value for value in headers.values()):
            raise Violation("a header of the sender's own")
        shown = f"{body}\n{headers}\n{log}"
        for secret in (*SECRETS, *_signatures(asked)):
            if secret in shown or quote(secret, safe="") in shown:
                raise Violation(f"{secret!r} is in the answer or the log")
        if len(asked.query) > 30 and latin(asked.query) in log:
            raise Violation("a whole query is in the log")
        return status, body

    def signed(self, random: Random, method: str, path: str, query: bytes, **changes: str) -> str:
        """The Authorization header under which the shop believes this."""
        return self._header(method, path, query, oauth(random, **changes), hmac)

    def published(self, random: Random, method: str, path: str, query: bytes) -> str:
        """The same in the name of mixi itself."""
        changes = {"oauth_consumer_key": signing.PUBLISHER, "oauth_signature_method": "RSA-SHA1"}
        params = [*oauth(random, **changes), (signing.KEY_NAME, PUBLISHER_KEY)]
        return self._header(method, path, query, params, lambda base: rsa_sha1(base, self.pair.private))

    def given(self) -> int:
        """How many grants were ever made, uses apart."""
        with self.app.app_context():
            query = select(func.count()).select_from(Grant).where(Grant.kind != Kind.USED)
            return db.session.scalar(query) or 0

    def earned(self) -> int:
        with self.app.app_context():
            return db.session.scalar(select(func.coalesce(func.sum(Entry.amount), 0))) or 0

    def completed(self) -> set[str]:
        with self.app.app_context():
            return set(
                db.session.scalars(select(Payment.point_code).where(Payment.status == Status.COMPLETE))
            )

    def page(self, path: str, owner: str = HANAKO) -> str:
        query = query_of(claims(owner))
        authorization = self.signed(seeded(""), "GET", path, query)
        return self.ask(Request("GET", path, query, (("Authorization", authorization),), b""))[2]

    def form_of(self, path: str) -> tuple[str, list[tuple[str, str]]]:
        """Where the first form of a page leads, and what it would send."""
        form = html.fromstring(self.page(path)).forms[0]
        address = dict(parse_qsl(urlsplit(str(form.action)).query))["url"]
        return urlsplit(address).path, [(str(name), str(value)) for name, value in form.form_values()]

    def post(self, path: str, fields: Iterable[tuple[str, str]], owner: str = HANAKO) -> int:
        query = query_of(claims(owner))
        headers = (("Authorization", self.signed(seeded(""), "POST", path, query)), FORM)
        return self.ask(Request("POST", path, query, headers, query_of(list(fields))))[0]

    def call_back(self, code: str) -> int:
        query, path = query_of(callback_pairs(code)), self.callback_path(code)
        headers = (("Authorization", self.signed(seeded(""), "GET", path, query)),)
        return self.ask(Request("GET", path, query, headers, b""))[0]

    def callback_path(self, code: str) -> str:
        """Where mixi's payment server asks about this payment."""
        if code not in self.words:
            with self.app.app_context():
                self.words[code] = str(db.session.get_one(Payment, code).word)
        return f"{CALLBACK}/{self.words[code]}"

    def _start(self, item: str) -> str:
        before = self._codes()
        assert self.post(*self.form_of(f"/items/{item}")) == 302
        return (self._codes() - before).pop()

    def _codes(self) -> set[str]:
        with self.app.app_context():
            return set(db.session.scalars(select(Payment.point_code)))

    def _header(
        self, method: str, path: str, query: bytes, params: list[tuple[str, str]], sign: Callable[[str], str]
    ) -> str:
        seen = octets(path).decode("utf-8", "replace")  # as the application reads it
        given = signature(method, SHOP + seen, query, params, sign)
        return header([*params, ("oauth_signature", given)])

    def _settings(self, database_url: str, folder: Path) -> Settings:
        values = {
            **SETTINGS,
            "secret_key": SECRET_KEY,
            "database_url": database_url,
            "metrics_token": METRICS_TOKEN,
            "metrics_folder": str(folder / "metrics"),
            "mixi_taps_per_minute": 1_000_000,
            "mixi_certificates": for_all(self.pair),
            "external_provider_url": "https://pay.test/pay",
            "external_merchant": "storefront",
            "external_secret": EXTERNAL_SECRET,
        }
        there = {name: value for name, value in values.items() if name in Settings.model_fields}
        return Settings.model_validate(there)  # without those of a room that was taken away

    def _listen(self, stack: ExitStack) -> None:
        """Read every line that the application logs, and let none reach the terminal."""
        before = structlog.get_config()
        structlog.configure(
            processors=before["processors"],
            wrapper_class=before["wrapper_class"],
            logger_factory=structlog.WriteLoggerFactory(file=self.lines),
        )
        stack.callback(structlog.configure, **before)
        listener = logging.StreamHandler(self.lines)
        root = logging.getLogger()
        root.addHandler(listener)
        stack.callback(root.removeHandler, listener)

    def _dispose(self) -> None:
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()


FORM = ("Content-Type", "application/x-www-form-urlencoded")


def claims(owner: str = HANAKO) -> list[tuple[str, str]]:
    return [("opensocial_app_id", APP_ID), ("opensocial_owner_id", owner)]


def callback_pairs(code: str) -> list[tuple[str, str]]:
    return [*claims(), ("point_code", code), ("status", "10"), ("updated", "2027-01-15T08:00:00Z")]


def _signatures(asked: Request) -> Iterator[str]:
    for name, value in asked.headers:
        if name == "Authorization" and 'oauth_signature="' in value:
            given = value.partition('oauth_signature="')[2].partition('"')[0]
            if len(given) > 20:
                yield given


# Part: callbacks


class Callbacks:
    """/mixi/callback: OK to what mixi has signed and meant, to the rest a refusal and no goods."""

    name = "callbacks"

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.heard: set[str] = set()  # codes that were rightly answered OK
        self.inputs = 0

    def draw(self, random: Random) -> Request:
        code = random.choice(self.shop.codes)
        pairs, method, path = callback_pairs(code), "GET", self._path(random, code)
        query = query_of(pairs)
        changes: dict[str, str] = {}
        signed = random.random() < 0.7
        sound = self.shop.signed(random, method, path, query) if not signed else ""
        for _ in range(random.randrange(1, 4)):
            kind = random.randrange(10)
            if kind < 6:
                pairs = mixed_pairs(random, pairs)
                query = written(random, pairs)
            elif kind == 6:
                query = shaken(random, query)
            elif kind == 7:
                method = random.choice(METHODS)
            elif kind == 8:
                stamp = random.choice(
                    (*WORDS, *(str(NOW + by) for by in (-601, -600, -13, -12, -11, 11, 600)))
                )
                changes = {"oauth_timestamp": stamp}
            else:
                changes = {random.choice(oauth(random))[0]: random.choice(WORDS)}
        authorization = self.shop.signed(random, method, path, query, **changes) if signed else sound
        if not signed and random.random() < 0.5:
            authorization = mixed(random, authorization)
        headers = [("Authorization", authorization)] if random.random() < 0.98 else []
        if random.random() < 0.1:
            headers.append(random.choice(OTHER_HEADERS))
        body = noise(random, 3000) if random.random() < 0.05 else b""
        return Request(method, path, query, _fit(headers), body)

    def _path(self, random: Random, code: str) -> str:
        """Mostly the payment's own; else what a buyer may have the container sign: anything but that."""
        own = self.shop.callback_path(code)
        if random.random() < 0.7:
            return own
        others = (CALLBACK, f"{CALLBACK}/", own[:-1], f"{own}=", own.swapcase(), f"{own}/", f"{CALLBACK}/%00")
        return random.choice((*others, self.shop.callback_path(random.choice(self.shop.codes))))

    def act(self, asked: Request) -> str:
        status, body = self.shop.checked(asked)
        code = self._meant(asked)
        if code and asked.path != self.shop.callback_path(code):
            code = None
        if status == 200 and asked.method.upper() != "OPTIONS":
            if body != "OK" or code is None:
                raise Violation(f"answered {body!r}")
            self.heard.add(code)
        self.inputs += 1
        if self.inputs % 500 == 0:
            self.audit()
        return f"{status} {body.strip()}" if len(body) < 80 else f"{status} a page"

    def _meant(self, asked: Request) -> str | None:
        """The code of the payment that this asks us to settle, if it says so beyond doubt."""
        said = parse_qsl(
            latin(asked.query), keep_blank_values=True, encoding="latin-1", max_num_fields=10_000
        )
        once = {name: value for name, value in said if [one for one, _ in said].count(name) == 1}
        if (once.get("opensocial_app_id"), once.get("opensocial_owner_id")) != (APP_ID, HANAKO):
            return None
        code = once.get("point_code")
        return code if code in self.shop.codes and once.get("status") in ("10", "20") else None

    def audit(self) -> None:
        """Granted is what was rightly answered OK, and nothing else."""
        completed = self.shop.completed()
        if not completed <= self.heard:
            raise Violation(f"complete without an OK: {sorted(completed - self.heard)}")
        if (self.shop.given(), self.shop.earned()) != (len(completed), 10 * len(completed)):
            raise Violation(f"{self.shop.given()} grants for {len(completed)} payments")

    def close(self) -> None:
        self.audit()


# Part: pages


class Pages:
    """Every route: a page or a refusal, and nobody gets anything by it."""

    name = "pages"
    methods = ("GET", "GET", "GET", "POST", "POST", "HEAD", *METHODS)
    pages = (
        "/",
        "/items/loaf",
        "/items/nothing",
        "/inventory",
        "/history",
        "/legal",
        "/nowhere",
        "/mixi/finish",
    )

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        for code in shop.codes[:5]:
            assert shop.call_back(code) == 200
        values = {
            "item_id": ("loaf", "ticket", "excalibur", "nothing"),
            "filename": ("shop.css", "art/emptybag.svg", "../../pyproject.toml", "art"),
            "device": ("pc", "smartphone", "mobile"),
            "channel": ("mixi", "external", "nothing"),
            "code": ("nothing", shop.codes[0]),
            "customer_id": ("1", "99999999999999999999"),
            "report_id": ("1", "-1", "99999999999999999999"),
        }
        self.routes = [
            path
            for found in sorted(shop.app.url_map.iter_rules(), key=str)
            for path in self._paths(found.rule, values)
        ]
        self.forms = [shop.form_of("/items/loaf"), shop.form_of("/items/coat"), shop.form_of("/inventory")]
        self.before = shop.given(), shop.earned()
        self.inputs = 0

    def draw(self, random: Random) -> Request:
        pairs = claims(HANAKO if random.random() < 0.8 else TARO)
        if random.random() < 0.15:
            return self._named(random, pairs)
        path, fields = random.choice(self.routes), [("token", "x"), ("item", "loaf")]
        method = random.choice(self.methods)
        if random.random() < 0.3:
            path, fields = random.choice(self.forms)
            method = "POST"
        if path == "/mixi/finish":
            pairs.append(("point_code", random.choice(self.shop.codes)))
        if path == LIFECYCLE:
            kind = random.choice(("event.addapp", "event.removeapp"))
            pairs = [("opensocial_app_id", APP_ID), ("eventtype", kind), ("id", TARO), ("id", "mo3nobody")]
        pairs += random.choice(([], [("lang", "en")], [("page", "1")], [("page", random.choice(WORDS))]))
        query, body, headers = query_of(pairs), query_of(fields), [FORM]
        for _ in range(random.randrange(1, 4)):
            kind_of = random.randrange(9)
            if kind_of < 2:
                pairs = mixed_pairs(random, pairs)
                query = written(random, pairs)
            elif kind_of == 2:
                query = shaken(random, query)
            elif kind_of == 3:
                method = random.choice(self.methods)
            elif kind_of == 4:
                path = "/" + latin(octets(mixed(random, path[1:])))
            elif kind_of == 5:
                headers.append(random.choice(OTHER_HEADERS))
            elif kind_of == 6:
                body = (
                    noise(random, 3000)
                    if random.random() < 0.5
                    else body + b"&a=b" * random.choice((10, 1200, 17_000))
                )
            else:
                fields = mixed_pairs(random, fields)
                body = written(random, fields)
        headers.insert(0, ("Authorization", self._authorization(random, method, path, query)))
        if random.random() < 0.25:
            del headers[0]
        return Request(method, path, query, _fit(headers), body)

    def act(self, asked: Request) -> str:
        status, body = self.shop.checked(asked)
        if "storefront_callbacks" in body:
            raise Violation("the numbers are open")
        self.inputs += 1
        if self.inputs % 500 == 0:
            self.audit()
        return str(status)

    def audit(self) -> None:
        """No page grants, and none earns."""
        if (self.shop.given(), self.shop.earned()) != self.before:
            raise Violation(f"granted and earned {self.shop.given(), self.shop.earned()}, not {self.before}")

    def close(self) -> None:
        self.audit()

    def _named(self, random: Random, pairs: Sequence[tuple[str, str]]) -> Request:
        """A sound page, but for a parameter that is called like a word of the framework's."""
        said = [
            (random.choice(KEYWORDS), random.choice((*WORDS, *METHODS)))
            for _ in range(random.choice((1, 1, 2)))
        ]
        path, query = (
            random.choice(self.pages),
            query_of(random.sample([*pairs, *said], len(pairs) + len(said))),
        )
        headers = (("Authorization", self.shop.signed(random, "GET", path, query)),)
        return Request("GET", path, query, headers, b"")

    def _authorization(self, random: Random, method: str, path: str, query: bytes) -> str:
        if path == LIFECYCLE and random.random() < 0.6:
            authorization = self.shop.published(random, method, path, query)
        else:
            authorization = self.shop.signed(random, method, path, query)
        return mixed(random, authorization) if random.random() < 0.1 else authorization

    def _paths(self, template: str, values: Mapping[str, tuple[str, ...]]) -> list[str]:
        for name, choices in values.items():
            marked = re.compile(rf"<(?:[^<>]+:)?{name}>")
            if marked.search(template):
                return [
                    path for choice in choices for path in self._paths(marked.sub(choice, template), values)
                ]
        assert "<" not in template, f"no values are known for {template}"
        return [template]


def _fit(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Headers as a server lets them through: of one line, without NUL."""
    cut = str.maketrans("", "", "\0\r\n")
    return tuple((name, octets(value).decode("latin-1").translate(cut)) for name, value in headers)


# Running


Part = Signatures | Atom | Callbacks | Pages
PURE: dict[str, Callable[[], Part]] = {"signatures": Signatures, "atom": Atom}
SERVED: dict[str, Callable[[Shop], Part]] = {"callbacks": Callbacks, "pages": Pages}


def run(part: Any, inputs: int, seed: int, name: str = "") -> Tally:
    """Send that many inputs through a part."""
    tally = Tally(name or part.name)
    begun = time.monotonic()
    for number in range(inputs):
        send(part, part.draw(seeded(f"{seed} {part.name} {number}")), tally)
    try:
        part.close()
    except Violation as violation:
        tally.violated(str(violation), None)
    tally.seconds = time.monotonic() - begun
    return tally


def send(part: Any, drawn: Any, tally: Tally) -> None:
    """Send one input through a part, within bounds."""
    literal = tuple(drawn) if isinstance(drawn, tuple) else drawn
    begun = time.monotonic()
    try:
        with _bounded():
            outcome = part.act(drawn)
    except Violation as violation:
        outcome = "VIOLATION"
        tally.violated(str(violation), literal)
    except Exception as escaped:  # whatever it is, it should not have left
        outcome = f"VIOLATION: {type(escaped).__name__}"
        tally.violated(f"{type(escaped).__name__}: {escaped}", literal)
    took = time.monotonic() - begun
    if took > LONG:
        tally.violated(f"took {took:.1f} s", literal)
    tally.outcomes[outcome] += 1
    tally.slowest = max(tally.slowest, (took, literal), key=lambda slow: slow[0])


@contextmanager
def _bounded() -> Iterator[None]:
    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise Hung(f"still at it after {HANG} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(HANG)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def shop_on(database_url: str) -> Iterator[Shop]:
    """The real application on an empty database."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        yield Shop(database_url.format(folder=folder), Path(folder), stack)


SQLITE = "sqlite:///{folder}/shop.db"


def runs(parts: Sequence[str], inputs: int, seed: int) -> Iterator[Tally]:
    """Each part; those that need a database once on SQLite, and a tenth as often on PostgreSQL."""
    for name in parts:
        if name in PURE:
            yield run(PURE[name](), inputs, seed)
            continue
        with shop_on(SQLITE) as shop:
            yield run(SERVED[name](shop), inputs, seed, f"{name} on SQLite")
        if not postgresql.IS_HERE:
            sys.stdout.write("no PostgreSQL server binary for this platform: left out\n")
            continue
        with (
            TemporaryDirectory() as folder,
            postgresql.server(Path(folder)) as server,
            shop_on(new_database(server.url, "fuzz")) as shop,
        ):
            yield run(SERVED[name](shop), inputs // 10, seed + 1, f"{name} on PostgreSQL")


def again(name: str, literal: str) -> Tally:
    """Send one input, given as it was printed."""
    drawn = ast.literal_eval(literal)
    tally = Tally(name)
    with ExitStack() as stack:
        part = PURE[name]() if name in PURE else SERVED[name](stack.enter_context(shop_on(SQLITE)))
        kind = Claim if name == "signatures" else Request
        send(part, drawn if name == "atom" else kind(*drawn), tally)
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proof.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="for each part")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--part", choices=[*PURE, *SERVED], action="append", help="only this one; may be repeated"
    )
    parser.add_argument("--input", help="one input, as it was printed; needs --part")
    chosen = parser.parse_args(arguments)
    parts = chosen.part or [*PURE, *SERVED]
    if chosen.input is not None and len(parts) != 1:
        parser.error("--input needs one --part")
    found = (
        [again(parts[0], chosen.input)]
        if chosen.input is not None
        else runs(parts, chosen.inputs, chosen.seed)
    )
    failed = False
    for tally in found:
        sys.stdout.write(f"{tally}\n")
        sys.stdout.flush()
        failed = failed or bool(tally.violations)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
