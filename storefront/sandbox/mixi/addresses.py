"""Where an address leads: to the app, into the container, to the payment screen, or away. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit, urlunsplit


class Foreign(Exception):
    """The address is not one the container goes to."""


@dataclass(frozen=True)
class App:
    """The registered app, as addresses know it."""

    app_id: str
    shop_url: str
    public_url: str

    def start(self) -> str:
        """The registered start address."""
        return f"{self.shop_url}/"

    def page(self, url: str, hops: int = 0) -> str:
        """A page of the app, seen through the container."""
        counted = f"&hops={hops}" if hops else ""
        return f"/ma/{self.app_id}/?guid=ON{counted}&url={quote(url, safe='')}"

    def image(self, url: str) -> str:
        """An image of the app, seen through the platform."""
        return f"/mm/{self.app_id}/?url={quote(url, safe='')}"

    def own(self, url: str) -> str:
        """The same address, if it is an absolute one of the app; else Foreign."""
        if not re.fullmatch(r"[!-\[\]-~]+", url) or "@" in urlsplit(url).netloc:
            raise Foreign(url)
        if origin(url) != origin(self.shop_url):
            raise Foreign(url)
        return urlunsplit(urlsplit(url)._replace(fragment=""))

    def with_owner(self, url: str, owner_id: str) -> str:
        """The address as it is fetched: the two parameters behind whatever stands there already."""
        ids = urlencode({"opensocial_app_id": self.app_id, "opensocial_owner_id": owner_id})
        parts = urlsplit(url)
        query = f"{parts.query}&{ids}" if parts.query else ids
        return urlunsplit(parts._replace(path=parts.path or "/", query=query))

    def redirect(self, location: str, asked: str) -> "Page | PaymentScreen":
        """What the app's Location means, given in answer to the address `asked`; or Foreign."""
        if location.startswith("?"):
            # Relative to the container; that this form works is ours.
            location = f"{self.public_url}/ma/{self.app_id}/{location}"
        elif "://" not in location.partition("?")[0]:
            location = urljoin(asked, location)
        if origin(location) != origin(self.public_url):
            return Page(self.own(location))
        path, query = urlsplit(location).path, parse_qs(urlsplit(location).query)
        if path == f"/ma/{self.app_id}/":
            return Page(self.own(query["url"][0]) if "url" in query else self.start())
        screen = re.fullmatch(r"/point/([\w-]+)", path)
        if screen is None:
            raise Foreign(location)
        return PaymentScreen(location, screen[1])


@dataclass(frozen=True)
class Page:
    """A redirect to another page of the app."""

    url: str


@dataclass(frozen=True)
class PaymentScreen:
    """A redirect to the point interface."""

    url: str
    token: str


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an http address, or Foreign."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        raise Foreign(url) from None
    if not parts.hostname:
        raise Foreign(url)
    return parts.scheme, parts.hostname, port
