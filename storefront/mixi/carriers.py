"""Which carrier a mobile phone belongs to, as far as its User-Agent says. Pure.

The header is not signed, so it decides about words and about nothing else.
"""

import re
from enum import StrEnum


class Carrier(StrEnum):
    DOCOMO = "docomo"
    AU = "au"
    SOFTBANK = "softbank"
    WILLCOM = "willcom"
    EMOBILE = "emobile"
    OTHER = "other"

    @property
    def sells_points(self) -> bool:
        """Whether points can be obtained on it; they can be viewed and used on all.

        Source: mixi Payment Program, carriers.
        """
        return self not in (Carrier.WILLCOM, Carrier.EMOBILE)


# Phones of all carriers may name a browser that others use as well, so the browser's name comes last.
MARKS = (
    (Carrier.WILLCOM, re.compile(r"WILLCOM|DDIPOCKET")),
    (Carrier.EMOBILE, re.compile(r"emobile/|\bHuawei/1\.0|IAC/1\.0 \(H")),
    (Carrier.DOCOMO, re.compile(r"^DoCoMo/")),
    (
        Carrier.SOFTBANK,
        re.compile(r"^(SoftBank|Semulator|Vodafone|Vemulator|J-PHONE|J-EMULATOR|MOT-|MOTEMULATOR)"),
    ),
    (Carrier.AU, re.compile(r"^KDDI-|UP\.Browser/")),
)


def carrier(user_agent: str) -> Carrier:
    """The carrier of a phone."""
    return next((name for name, mark in MARKS if mark.search(user_agent)), Carrier.OTHER)
