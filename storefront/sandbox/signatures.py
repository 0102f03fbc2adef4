"""Why a signature does not fit: every known mistake is made on purpose, and the results are compared. Pure.

Only a signature arrives, never the text that was signed. But who knows the secret can build that text
wrongly, too, in each of the ways that are known, and see which of them leads to the signature received.
"""

import base64
import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import combinations, takewhile, zip_longest
from typing import NamedTuple
from urllib.parse import quote, quote_plus, unquote, urlsplit, urlunsplit

from storefront.mixi import signing
from storefront.mixi.signing import Pairs
from storefront.sandbox.language import N_
from storefront.sandbox.signing import body_hash

SIGNATURE, HASH = "oauth_signature", "oauth_body_hash"
NOT_SIGNED = (SIGNATURE, "realm")
METHODS = ("GET", "POST", "PUT", "DELETE")
PORTS = {"http": 80, "https": 443}
# What is read, and marked, as one sign: an escape, however often it was escaped again.
SIGN = re.compile(r"%(?:25)*[0-9A-Fa-f]{2}|.", re.DOTALL)
ENDS = ("&", "%26")  # of a parameter in a base string
# Characters of base strings that are made for one explanation: two thousand of a usual request. Who sends
# a hundred parameters hears that not all was tried, and keeps nobody waiting.
BUDGET = 1_500_000
MOST_FORM = 8 * 1024  # bytes of a body that may have been signed as a form
METHOD, ADDRESS = N_("(method)"), N_("(address)")


@dataclass(frozen=True)
class Received:
    """A request as it came: its raw query without the question mark, its Authorization header, its body."""

    query: bytes
    authorization: str
    body: bytes = b""


@dataclass(frozen=True)
class Explanation:
    """The base string that a request should have, and the one that its sender must have signed.

    `mistakes` says by which of MISTAKES this came about: by none if the signature is right. If no known
    mistake leads to the signature, `signed` is empty; `is_complete` says whether all of them were tried.
    """

    expected: str
    signed: str = ""
    mistakes: tuple[str, ...] = ()
    is_complete: bool = True

    @property
    def is_right(self) -> bool:
        return self.signed == self.expected and not self.mistakes


@dataclass(frozen=True)
class Recipe:
    """All that a signature is made of."""

    method: str
    address: str
    pairs: Pairs
    key: str
    write: Callable[[str], str]  # how a name or a value is written
    join: Callable[[str], str]  # how the address and all the parameters are
    sort: Callable[..., list[tuple[str, str]]] = sorted

    @property
    def base_string(self) -> str:
        written = self.sort((self.write(name), self.write(value)) for name, value in self.pairs)
        parameters = "&".join(f"{name}={value}" for name, value in written)
        return "&".join([self.method, self.join(self.address), self.join(parameters)])

    def signature(self, base: str) -> str:
        """That of this base string under its key."""
        mac = hmac.digest(self.key.encode(), base.encode(), "sha1")
        return base64.b64encode(mac).decode("ascii")


@dataclass(frozen=True)
class Case:
    """What a mistake may be made with."""

    query: Pairs
    form: Pairs  # the body, where it may have been taken for a form
    hashes: Sequence[str]  # of the body, and of what may have been hashed in its place
    secrets: Sequence[str]  # the one that counts, then those of before


class Mistake(NamedTuple):
    """A way to come to a wrong signature: what to tell its maker, and all the recipes that it leads to."""

    words: str
    recipes: Callable[[Recipe, Case], Iterator[Recipe]]


class Step(NamedTuple):
    """One thing that a request must have right; None where there is nothing to say of it."""

    rule: str
    good: bool | None
    found: str = ""


class Difference(NamedTuple):
    """A text in three parts; the middle one is where it first differs from another."""

    before: str
    marked: str
    after: str


class Line(NamedTuple):
    """One part of two base strings in clear; None where that side does not have it."""

    name: str
    expected: str | None
    signed: str | None


def explain(received: Received, expected: str, secrets: Sequence[str]) -> Explanation:
    """Name the mistake by which this request came to its signature.

    `expected` is the base string it should have; `secrets` begins with the one that counts, those of before
    follow. One mistake alone is sought first, then two together.
    """
    header = signing.header_pairs(received.authorization)
    given = dict(header).get(SIGNATURE, "")
    hashes = [body_hash(body) for _, body in _bodies(received.body)]
    case = Case(signing.query_pairs(received.query), _form(received.body), hashes, secrets)
    right = _right(expected, case, header)
    base, left = right.base_string, BUDGET
    if right.signature(base) == given:
        return Explanation(expected, base)
    for names in (*((name,) for name in MISTAKES), *combinations(MISTAKES, 2)):
        for wrong in _made(names, right, case):
            base = wrong.base_string
            if wrong.signature(base) == given:
                return Explanation(expected, base, names)
            left -= len(base)
            if left < 0:
                return Explanation(expected, is_complete=False)
    return Explanation(expected)


def examine(
    received: Received,
    method: str,
    address: str,
    key: str,
    secrets: Sequence[str],
    *,
    now: int,
    window: int,
) -> tuple[Sequence[Step], Explanation]:
    """Look at a request as the one who verifies it does, in turn; and explain its signature.

    `address` is what stands in the base string; `key` the app's consumer key; `now` and `window` in seconds.
    """
    header = signing.header_pairs(received.authorization)
    oauth = dict(header)
    expected = signing.base_string(method, address, signing.query_pairs(received.query), header)
    explanation = explain(received, expected, secrets)
    absent = [name for name in signing.REQUIRED if not oauth.get(name)]
    age = _age(oauth.get("oauth_timestamp", ""), now)
    kind = oauth.get("oauth_signature_method", ""), oauth.get("oauth_version", "1.0")
    steps = [
        Step(N_("Every parameter that is required is there."), not absent, ", ".join(absent)),
        Step(N_("The consumer key is the app's."), oauth.get("oauth_consumer_key") == key),
        Step(N_("It is signed by HMAC-SHA1, in version 1.0."), kind == ("HMAC-SHA1", "1.0"), " ".join(kind)),
        Step(
            N_("Its timestamp is near enough to now."),
            age is not None and abs(age) <= window,
            "" if age is None else f"{-age:+d} s",
        ),
        _hash_step(oauth.get(HASH), received.body),
        Step(N_("The signature is that of this request."), explanation.is_right),
    ]
    return steps, explanation


def hashed(given: str, body: bytes) -> str | None:
    """Of which bytes this is the body hash, in a text of the catalogue; None if they are not known."""
    return next((words for words, each in _bodies(body) if body_hash(each) == given), None)


def differences(one: str, other: str) -> tuple[Difference, Difference]:
    """Both texts with their first difference marked, as far as the parameter goes; no escape is cut."""
    here, there = SIGN.findall(one), SIGN.findall(other)
    start = _alike(here, there)
    mine, theirs = _parameter(here[start:], there[start:]), _parameter(there[start:], here[start:])
    alike = _alike(mine[::-1], theirs[::-1])
    return _marked(here, start, len(mine) - alike), _marked(there, start, len(theirs) - alike)


def lines(expected: str, signed: str) -> Sequence[Line]:
    """Both base strings in clear, side by side: the method, the address, and a parameter a line."""
    left, right = _clear(expected), _clear(signed)
    found: list[Line] = []
    for _, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        for mine, theirs in zip_longest(left[a:b], right[c:d]):
            if mine and theirs and mine[0] == theirs[0]:
                found.append(Line(mine[0], mine[1], theirs[1]))
            else:
                found += [Line(mine[0], mine[1], None)] if mine else []
                found += [Line(theirs[0], None, theirs[1])] if theirs else []
    return found


def _age(timestamp: str, now: int) -> int | None:
    return now - int(timestamp) if re.fullmatch(r"[0-9]{1,10}", timestamp) else None


def _hash_step(given: str | None, body: bytes) -> Step:
    rule = N_("The body hash is that of the body.")
    if given is None:
        return Step(rule, False if body else None)
    return Step(rule, given == body_hash(body), given)


def _form(body: bytes) -> Pairs:
    try:
        return signing.query_pairs(body) if len(body) <= MOST_FORM else []
    except signing.BadSignature:  # too many to have been signed
        return []


def _right(expected: str, case: Case, header: Pairs) -> Recipe:
    method, address, _ = expected.split("&", 2)
    beside = [pair for pair in header if pair not in case.query and pair[0] not in NOT_SIGNED]
    key = f"{_escape(case.secrets[0])}&"
    return Recipe(method, unquote(address), [*case.query, *beside], key, _escape, _escape)


def _made(names: Sequence[str], recipe: Recipe, case: Case) -> Iterator[Recipe]:
    if not names:
        yield recipe
        return
    for wrong in MISTAKES[names[0]].recipes(recipe, case):
        yield from _made(names[1:], wrong, case)


def _https(recipe: Recipe, _case: Case) -> Iterator[Recipe]:
    parts = urlsplit(recipe.address)
    if parts.scheme == "http":
        yield replace(recipe, address=urlunsplit(parts._replace(scheme="https")))


def _http(recipe: Recipe, _case: Case) -> Iterator[Recipe]:
    parts = urlsplit(recipe.address)
    if parts.scheme == "https":
        yield replace(recipe, address=urlunsplit(parts._replace(scheme="http")))


def _port_dropped(recipe: Recipe, _case: Case) -> Iterator[Recipe]:
    parts = urlsplit(recipe.address)
    if parts.port:
        yield replace(recipe, address=urlunsplit(parts._replace(netloc=parts.netloc.rpartition(":")[0])))


def _port_added(recipe: Recipe, _case: Case) -> Iterator[Recipe]:
    parts = urlsplit(recipe.address)
    if not parts.port:
        for port in PORTS.values():
            yield replace(recipe, address=urlunsplit(parts._replace(netloc=f"{parts.netloc}:{port}")))


def _form_signed(recipe: Recipe, case: Case) -> Iterator[Recipe]:
    if case.form:
        yield replace(recipe, pairs=[*recipe.pairs, *case.form])


def _query_left_out(recipe: Recipe, case: Case) -> Iterator[Recipe]:
    yield replace(recipe, pairs=[pair for pair in recipe.pairs if pair not in case.query])
    for left in case.query:
        yield replace(recipe, pairs=[pair for pair in recipe.pairs if pair != left])


def _twice(recipe: Recipe, case: Case) -> Iterator[Recipe]:
    yield replace(recipe, pairs=[*recipe.pairs, *case.query])
    for pair in recipe.pairs:
        yield replace(recipe, pairs=[*recipe.pairs, pair])


def _escaped_again(recipe: Recipe, _case: Case) -> Iterator[Recipe]:
    yield replace(recipe, write=lambda text: _escape(recipe.write(text)))
    yield replace(recipe, join=lambda text: _escape(recipe.join(text)))


def _not_escaped(recipe: Recipe, _case: Case) -> Iterator[Recipe]:
    yield replace(recipe, write=str)


def _lower_case(recipe: Recipe, _case: Case) -> Iterator[Recipe]:
    def write(text: str) -> str:
        return _lowered(recipe.write(text))

    def join(text: str) -> str:
        return _lowered(recipe.join(text))

    yield from (replace(recipe, write=write, join=join), replace(recipe, write=write))
    yield replace(recipe, join=join)


def _plus(recipe: Recipe, _case: Case) -> Iterator[Recipe]:
    yield replace(recipe, write=lambda text: quote_plus(text, safe="~", encoding="latin-1"))


def _other_bytes(recipe: Recipe, case: Case) -> Iterator[Recipe]:
    others = [pair for pair in recipe.pairs if pair[0] != HASH]
    yield replace(recipe, pairs=others)
    for each in case.hashes:
        yield replace(recipe, pairs=[*others, (HASH, each)])


def _another_method(recipe: Recipe, _case: Case) -> Iterator[Recipe]:
    for method in (*METHODS, recipe.method.lower()):
        yield replace(recipe, method=method)


def _unsorted(recipe: Recipe, _case: Case) -> Iterator[Recipe]:
    yield replace(recipe, sort=list)
    yield replace(recipe, sort=list, pairs=recipe.pairs[::-1])


def _secret_of_before(recipe: Recipe, case: Case) -> Iterator[Recipe]:
    for secret in case.secrets[1:]:
        yield replace(recipe, key=f"{_escape(secret)}&")


def _newline(recipe: Recipe, case: Case) -> Iterator[Recipe]:
    for secret in case.secrets:
        for end in ("\n", "\r\n", " "):
            yield replace(recipe, key=f"{_escape(secret + end)}&")
            yield replace(recipe, key=f"{secret}{end}&")


def _no_ampersand(recipe: Recipe, _case: Case) -> Iterator[Recipe]:
    yield replace(recipe, key=recipe.key.removesuffix("&"))


MISTAKES: Mapping[str, Mistake] = {
    "https_for_http": Mistake(
        N_("The address was signed with https. In a base string it has http, however the request travels."),
        _https,
    ),
    "http_for_https": Mistake(N_("The address was signed with http; it has https here."), _http),
    "port_dropped": Mistake(
        N_("The port was dropped from the address. One that is not the scheme's own stays."), _port_dropped
    ),
    "port_added": Mistake(
        N_("A port was added to the address. The scheme's own port is never written."), _port_added
    ),
    "form_signed": Mistake(
        N_("The body was signed as if it were a form. A body is never in the base string."), _form_signed
    ),
    "query_left_out": Mistake(
        N_("The query, or a parameter of it, was left out. All of it is signed."), _query_left_out
    ),
    "parameter_twice": Mistake(
        N_("A parameter was counted twice. What stands in query and header counts once."), _twice
    ),
    "escapes_doubled": Mistake(
        N_("Values were escaped once too often: percent signs became %25."), _escaped_again
    ),
    "escapes_missing": Mistake(
        N_("Names and values were not escaped before they were put together."), _not_escaped
    ),
    "escapes_in_lower_case": Mistake(
        N_("Escapes were written in lower case, as %3a. They are upper case."), _lower_case
    ),
    "plus_for_space": Mistake(N_("A space was written as a plus sign. It is %20."), _plus),
    "body_hash_of_other_bytes": Mistake(
        N_("The body hash that was signed is that of other bytes than the body's."), _other_bytes
    ),
    "another_method": Mistake(
        N_("Another method was signed than the one that was sent, or in lower case."), _another_method
    ),
    "unsorted": Mistake(N_("The parameters were not sorted."), _unsorted),
    "secret_of_before": Mistake(
        N_("It was signed with a secret of before. The app has a new one."), _secret_of_before
    ),
    "newline_in_secret": Mistake(
        N_("The secret has a newline or a blank behind it. It was read from a file, perhaps."), _newline
    ),
    "no_ampersand": Mistake(N_("The key lacks the ampersand that stands behind the secret."), _no_ampersand),
}


def _bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Bytes that may have been hashed in place of a body, or are the body."""
    unix = body.replace(b"\r\n", b"\n")
    yield N_("of this body"), body
    yield N_("of an empty body"), b""
    yield N_("of this body with a newline at its end"), body + b"\n"
    yield N_("of this body without white space at its ends"), body.strip()
    yield N_("of this body with other line ends"), unix
    yield N_("of this body with other line ends"), unix.replace(b"\n", b"\r\n")


def _parameter(signs: Sequence[str], others: Sequence[str]) -> Sequence[str]:
    """The signs up to the end of the parameter they begin in; none if they have ended where others go on."""
    if others and signs and signs[0] in ENDS:
        return []
    return signs[: next((at for at, sign in enumerate(signs) if at and sign in ENDS), len(signs))]


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """With how many equal signs both begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _marked(signs: list[str], start: int, length: int) -> Difference:
    end = start + length
    return Difference("".join(signs[:start]), "".join(signs[start:end]), "".join(signs[end:]))


def _clear(base: str) -> list[tuple[str, str]]:
    method, address, parameters = base.split("&", 2)
    pairs = (pair.partition("=") for pair in unquote(parameters).split("&"))
    return [
        (METHOD, method),
        (ADDRESS, unquote(address)),
        *((unquote(name), unquote(value)) for name, _, value in pairs),
    ]


def _lowered(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda escape: escape[0].lower(), text)


@lru_cache(maxsize=1024)
def _escape(text: str) -> str:
    """Kept, since a thousand recipes write the same names and values."""
    return quote(text, safe="~", encoding="latin-1")
