"""Visits: who is looking, through which device, and how links are written for them."""

from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from flask import request, url_for

from storefront.config import settings
from storefront.languages import DEFAULT_LANGUAGE
from storefront.shop.customers import Customer
from storefront.shop.devices import Device


class Links(Protocol):
    """How one of our addresses is written so that the visit goes on behind it.

    `added` names the query parameters that the platform puts on every address by itself.
    """

    @property
    def added(self) -> frozenset[str]: ...

    def in_page(self, address: str) -> str: ...

    def in_redirect(self, address: str) -> str: ...


@dataclass(frozen=True)
class Visit:
    """A verified customer looking at a page.

    `leave` is the endpoint that ends the visit, `key` what it can be gone on with; where every request
    says anew who asks there is neither.
    """

    customer: Customer
    device: Device
    links: Links
    chosen: str | None
    leave: str | None = None
    key: str = ""

    @property
    def channel(self) -> str:
        return self.customer.channel

    @property
    def language(self) -> str:
        return self.chosen or DEFAULT_LANGUAGE

    def link(self, endpoint: str, **values: Any) -> str:
        """The href or form action that leads to one of our pages."""
        return self.links.in_page(self._address(endpoint, values))

    def target(self, endpoint: str, **values: Any) -> str:
        """The Location that leads to one of our pages."""
        return self.links.in_redirect(self._address(endpoint, values))

    def here(self, language: str) -> str:
        """The href of this very page in another language."""
        own = {name: value for name, value in request.args.items() if name not in self.links.added}
        # Names of a stranger's are none of the framework's own, which url_for would obey.
        query = urlencode({**own, "lang": language})
        path = url_for(str(request.endpoint), **(request.view_args or {}))
        return self.links.in_page(f"{settings().public_url}{path}?{query}")

    def _address(self, endpoint: str, values: dict[str, Any]) -> str:
        return settings().public_url + url_for(endpoint, **{"lang": self.chosen, **values})
