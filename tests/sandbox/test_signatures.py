"""The mistake in a signature is named for each that is known, from a shop that makes it."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

import pytest

from storefront.mixi import signing
from storefront.sandbox.settings import MIB
from storefront.sandbox.signatures import MISTAKES, Difference, Received, differences, explain, hashed, lines

SECRET, OLD = "a secret & more", "the secret of before"
HOST = "http://platform.test:8001"
PATH = "/atom/mobile/point/@me"
QUERY = "xoauth_requestor_id=mo3k7c2hanak0&note=two%20words"
FORM = b"item=lantern&color=red"


def escaped(text: str) -> str:
    return quote(text, safe="~")


def lowered(text: str) -> str:
    return re.sub("%..", lambda escape: escape[0].lower(), text)


@dataclass
class Shop:
    """Signs a request to the point API by hand, and as told: everything about it can be wrong."""

    method: str = "POST"
    address: str = HOST + PATH
    query: str = QUERY
    more: list[tuple[str, str]] = field(default_factory=list)
    write: Callable[[str], str] = escaped
    join: Callable[[str], str] = escaped
    order: Callable[[Any], list[tuple[str, str]]] = sorted
    hashes: bytes | None = FORM
    key: str = f"{escaped(SECRET)}&"

    def sends(self, *, says: bytes | None = FORM) -> Received:
        """The request as it comes to the platform; its header has the hash of `says`."""
        oauth = [
            ("oauth_timestamp", "1259823826"),
            ("oauth_nonce", "a nonce"),
            ("oauth_consumer_key", "38dacb31c1759ea5ecc8"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_version", "1.0"),
        ]
        own = [] if self.hashes is None else [("oauth_body_hash", sha1(self.hashes))]
        pairs = [*parse_qsl(self.query), *oauth, *own, *self.more]
        written = self.order((self.write(name), self.write(value)) for name, value in pairs)
        text = "&".join(f"{name}={value}" for name, value in written)
        base = f"{self.method}&{self.join(self.address)}&{self.join(text)}"
        digest = hmac.digest(self.key.encode(), base.encode(), hashlib.sha1)
        sent = [*oauth, ("oauth_signature", base64.b64encode(digest).decode())]
        sent += [] if says is None else [("oauth_body_hash", sha1(says))]
        header = ", ".join(f'{name}="{escaped(value)}"' for name, value in sent)
        return Received(QUERY.encode(), f"OAuth {header}", FORM)


def sha1(body: bytes) -> str:
    return base64.b64encode(hashlib.sha1(body).digest()).decode()  # noqa: S324  # as published


def expected(received: Received, address: str = HOST + PATH) -> str:
    query, header = signing.query_pairs(received.query), signing.header_pairs(received.authorization)
    return signing.base_string("POST", address, query, header)


def named(shop: Shop, address: str = HOST + PATH) -> tuple[str, ...]:
    received = shop.sends()
    return explain(received, expected(received, address), [SECRET, OLD]).mistakes


HTTPS = "https://platform.test"
SHOPS: dict[str, tuple[Shop, str]] = {
    "https_for_http": (Shop(address=f"https://platform.test:8001{PATH}"), HOST),
    "http_for_https": (Shop(address=f"http://platform.test{PATH}"), HTTPS),
    "port_dropped": (Shop(address=f"http://platform.test{PATH}"), HOST),
    "port_added": (Shop(address=f"https://platform.test:443{PATH}"), HTTPS),
    "form_signed": (Shop(more=[("item", "lantern"), ("color", "red")]), HOST),
    "query_left_out": (Shop(query=""), HOST),
    "parameter_twice": (Shop(more=[("xoauth_requestor_id", "mo3k7c2hanak0")]), HOST),
    "escapes_doubled": (Shop(write=lambda text: escaped(escaped(text))), HOST),
    "escapes_missing": (Shop(write=str), HOST),
    "escapes_in_lower_case": (Shop(write=lambda text: lowered(escaped(text))), HOST),
    "plus_for_space": (Shop(write=quote_plus), HOST),
    "body_hash_of_other_bytes": (Shop(hashes=FORM + b"\n"), HOST),
    "another_method": (Shop(method="GET"), HOST),
    "unsorted": (Shop(order=list), HOST),
    "secret_of_before": (Shop(key=f"{escaped(OLD)}&"), HOST),
    "newline_in_secret": (Shop(key=f"{escaped(SECRET)}%0A&"), HOST),
    "no_ampersand": (Shop(key=escaped(SECRET)), HOST),
}


def test_each_mistake_has_its_shop() -> None:
    """No mistake is known that no shop was seen to make."""
    assert set(SHOPS) == set(MISTAKES)


@pytest.mark.parametrize("name", SHOPS)
def test_the_mistake_is_named(name: str) -> None:
    """Of a shop that makes one mistake, that one is named and no other."""
    shop, host = SHOPS[name]
    assert named(shop, host + PATH) == (name,)


@pytest.mark.parametrize(
    "shop",
    [
        Shop(query="note=two%20words"),
        Shop(more=parse_qsl(QUERY)),
        Shop(join=lambda text: lowered(escaped(text))),
        Shop(hashes=None),
        Shop(method="post"),
        Shop(key=f"{SECRET}\n&"),
    ],
    ids=["one parameter left out", "query twice", "outer escapes", "no hash", "lower case", "raw secret"],
)
def test_a_mistake_has_many_forms(shop: Shop) -> None:
    """A mistake is named whichever way it is made."""
    assert len(named(shop)) == 1


def test_two_mistakes_at_once() -> None:
    """An address rebuilt behind a proxy has lost its port and won an s: both are named."""
    assert named(Shop(address=f"https://platform.test{PATH}")) == ("https_for_http", "port_dropped")


def test_a_right_signature() -> None:
    """Where nothing is wrong nothing is named, and what was signed is what was expected."""
    received = Shop().sends()
    text = expected(received)
    explanation = explain(received, text, [SECRET, OLD])
    assert (explanation.signed, explanation.mistakes) == (text, ())


def test_a_wrong_secret() -> None:
    """A secret that nobody knows leads to no known mistake."""
    received = Shop(key=f"{escaped('quite another')}&").sends()
    explanation = explain(received, expected(received), [SECRET, OLD])
    assert (explanation.signed, explanation.mistakes) == ("", ())


def test_a_request_too_long_to_try_all() -> None:
    """Of a hundred parameters not every pair of mistakes is tried, and that is said."""
    received = Shop(key="another&").sends()
    assert explain(received, expected(received), [SECRET, OLD]).is_complete
    query = "&".join(f"a{number}=b" for number in range(90)).encode()
    long = Received(query, received.authorization, b"x" * MIB)
    assert not explain(long, expected(long), [SECRET, OLD]).is_complete


def test_what_must_have_been_signed() -> None:
    """The base string of the mistake is the very text that was signed."""
    received = Shop(address=f"http://platform.test{PATH}").sends()
    explanation = explain(received, expected(received), [SECRET])
    assert explanation.signed == explanation.expected.replace("%3A8001", "")


@pytest.mark.parametrize(
    ("one", "other", "mine", "theirs"),
    [
        ("GET&http%3A%2F%2Fa%3A8001%2Fb&x", "GET&http%3A%2F%2Fa%2Fb&x", "%3A8001", ""),
        ("GET&http%3A%2F%2Fa&x", "GET&https%3A%2F%2Fa&x", "", "s"),
        ("a%3D1%26b%3D%252F%26c", "a%3D1%26b%3D%25252F%26c", "%252F", "%25252F"),
        ("a%3D1%26b%3D2", "a%3D1", "%26b%3D2", ""),
        ("GET&a", "POST&a", "GE", "POS"),
        ("a%3D12%26b%3D3", "a%3D42%26b%3D4", "1", "4"),
        ("same", "same", "", ""),
    ],
)
def test_the_first_difference(one: str, other: str, mine: str, theirs: str) -> None:
    """The first difference is marked on both sides, and never half an escape."""
    left, right = differences(one, other)
    assert (left.marked, right.marked) == (mine, theirs)
    assert ("".join(left), "".join(right)) == (one, other)


def test_in_clear() -> None:
    """Base strings are read one parameter a line, and a line of one side alone stands alone."""
    right = signing.base_string("GET", "http://a:8001/b", [("x", "1/2"), ("y", "2")], [])
    wrong = signing.base_string("GET", "http://a/b", [("x", "1/2")], [])
    assert [tuple(line) for line in lines(right, wrong)] == [
        ("(method)", "GET", "GET"),
        ("(address)", "http://a:8001/b", "http://a/b"),
        ("x", "1/2", "1/2"),
        ("y", "2", None),
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (FORM, "of this body"),
        (b"", "of an empty body"),
        (FORM + b"\n", "of this body with a newline at its end"),
        (b"another", None),
    ],
)
def test_whose_hash(body: bytes, words: str | None) -> None:
    """Of a body hash that does not fit it is said of which bytes it is, if they can be guessed."""
    assert hashed(sha1(body), FORM) == words


def test_no_difference_is_a_difference_of_nothing() -> None:
    """A text is marked in three parts that are the text again."""
    assert differences("a", "b") == (Difference("", "a", ""), Difference("", "b", ""))
