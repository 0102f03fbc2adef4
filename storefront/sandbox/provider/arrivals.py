"""How a buyer comes to us: at an address that the shop wrote and signed. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storefront.external.signing import AT, SIGNATURE, BadSeal, unsealed
from storefront.languages import LANGUAGES
from storefront.sandbox.language import N_
from storefront.sandbox.provider.addresses import origin
from storefront.sandbox.provider.settings import ProviderSettings

MERCHANT, PAYMENT, ITEM, YEN, BACK, LANG = "merchant", "payment", "item", "yen", "back", "lang"
FIELDS = {MERCHANT, PAYMENT, ITEM, YEN, BACK, LANG, AT, SIGNATURE}
CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")
WHOLE = re.compile(r"[1-9][0-9]{0,6}")
# All ours.
MAX_YEN = 1_000_000
MAX_ITEM = 200
MAX_BACK = 2000


class Unreadable(Exception):
    """The address breaks a rule; the message says which, in a text of the catalogue."""


@dataclass(frozen=True)
class Arrival:
    """What the shop asks us to collect, believed and checked."""

    merchant: str
    code: str
    item: str
    yen: int
    back: str


def read(pairs: Sequence[tuple[str, str]], settings: ProviderSettings, now: datetime) -> Arrival:
    """The arrival that these fields of the query make; else Unreadable or BadSeal."""
    fields = dict(pairs)
    if len(fields) != len(pairs) or set(fields) != FIELDS:
        raise Unreadable(N_("A field is missing, unknown or there twice."))
    if fields[MERCHANT] != settings.merchant:
        raise BadSeal("merchant")
    secret = settings.merchant_secret.get_secret_value()
    return _checked(unsealed(fields, secret, int(now.timestamp()), settings.timestamp_skew), settings)


def _checked(fields: dict[str, str], settings: ProviderSettings) -> Arrival:
    if not CODE.fullmatch(fields[PAYMENT]):
        raise Unreadable(N_("The shop's code of the payment is not one we take."))
    if not WHOLE.fullmatch(fields[YEN]) or int(fields[YEN]) > MAX_YEN:
        raise Unreadable(N_("The amount must be a whole number of yen, from 1 to 1,000,000."))
    if not _is_name(fields[ITEM]):
        raise Unreadable(N_("The item's name must have 1 to 200 characters."))
    if len(fields[BACK]) > MAX_BACK or origin(fields[BACK]) != origin(settings.shop_url):
        raise Unreadable(N_("The address to go back to does not belong to the shop."))
    if fields[LANG] not in LANGUAGES:
        raise Unreadable(N_("We speak Japanese and English only."))
    return Arrival(fields[MERCHANT], fields[PAYMENT], fields[ITEM], int(fields[YEN]), fields[BACK])


def _is_name(text: str) -> bool:
    controls = any(unicodedata.category(character) == "Cc" for character in text)
    return bool(text.strip()) and len(text) <= MAX_ITEM and not controls
