"""What the doctor looks at for the door out: whether it is open."""

from collections.abc import Iterator

import requests

from storefront import clock
from storefront.external import facts, shelf
from storefront.external.channel import channel
from storefront.external.registration import forbidden
from storefront.external.settings import ExternalSettings
from storefront.findings import Finding, ok, warn
from storefront.shop.devices import Device


def door_out(settings: ExternalSettings, http: requests.Session) -> Iterator[Finding]:
    if not settings.external_provider_url:
        return
    today = clock.day(clock.now())
    recorded = facts.current()
    closed = forbidden(recorded, Device.PC, channel().site, today, on_smartphone=False)
    if closed:
        advice = "`storefront operator` prints the list; until then buyers do not see it"
        yield warn("door out", f"closed by {closed.value}", advice)
    elif all(row.closed_by for row in shelf.rows(recorded, today)):
        found = f"leads to {channel().site}, and no item goes through it: none has a price that mixi approved"
        yield warn("door out", found, "`storefront operator` names each")
    else:
        yield ok("door out", f"leads to {channel().site}, and the registration allows it")
