"""Where points can be obtained, viewed and used, and by which means: the programme's two tables. Pure.

Source: mixi Payment Program, support by device and by carrier. Of its marks our copy has kept only those of
WILLCOM and EMOBILE; that all the others are circles is ours, read from the lists of means.
"""

from dataclasses import dataclass
from enum import StrEnum

from storefront.sandbox.devices import Carrier, Device
from storefront.sandbox.language import N_


class Means(StrEnum):
    """How points are paid for."""

    CREDIT_CARD = "credit_card"
    SP_MODE = "sp_mode"
    AU_EASY = "au_easy"
    SOFTBANK_TOGETHER = "softbank_together"
    CARRIER = "carrier"
    WEBMONEY = "webmoney"
    BITCASH = "bitcash"
    POINT_PLUS = "point_plus"

    @property
    def label(self) -> str:
        """Its name, a text of the catalogue."""
        return _NAMES[self]


class Mark(StrEnum):
    """The marks of the tables."""

    YES = "○"
    PARTLY = "△"
    NO = "×"

    @property
    def label(self) -> str:
        """What it means, a text of the catalogue."""
        return {Mark.YES: N_("yes"), Mark.PARTLY: N_("partly"), Mark.NO: N_("no")}[self]


@dataclass(frozen=True)
class Support:
    """A row of marks."""

    get: Mark = Mark.YES
    view: Mark = Mark.YES
    use: Mark = Mark.YES


# In the order of the table; the first that a buyer may use is the one that is chosen at first.
MEANS = {
    Device.PC: (Means.CREDIT_CARD, Means.AU_EASY, Means.SOFTBANK_TOGETHER, Means.POINT_PLUS),
    Device.SMARTPHONE: (
        Means.SP_MODE,
        Means.AU_EASY,
        Means.SOFTBANK_TOGETHER,
        Means.CREDIT_CARD,
        Means.POINT_PLUS,
    ),
    Device.MOBILE: (Means.CARRIER, Means.WEBMONEY, Means.BITCASH, Means.POINT_PLUS),
}
# The programme binds these to carriers.
BOUND = {
    Means.WEBMONEY: frozenset({Carrier.DOCOMO, Carrier.AU}),
    Means.BITCASH: frozenset({Carrier.DOCOMO}),
}
# These carry a carrier's name; that only its own users are offered them is ours.
NAMED = {
    Means.SP_MODE: frozenset({Carrier.DOCOMO}),
    Means.AU_EASY: frozenset({Carrier.AU}),
    Means.SOFTBANK_TOGETHER: frozenset({Carrier.SOFTBANK}),
}
# What was obtained on a device of another carrier can be viewed and used on theirs, hence the triangles.
BY_CARRIER = {carrier: Support() for carrier in Carrier} | {
    carrier: Support(Mark.NO, Mark.PARTLY, Mark.PARTLY) for carrier in (Carrier.WILLCOM, Carrier.EMOBILE)
}

_NAMES = {
    Means.CREDIT_CARD: N_("Credit card"),
    Means.SP_MODE: N_("docomo sp mode payment"),
    Means.AU_EASY: N_("au easy payment"),
    Means.SOFTBANK_TOGETHER: N_("SoftBank collective payment"),
    Means.CARRIER: N_("Mobile carrier payment"),
    Means.WEBMONEY: N_("WebMoney"),
    Means.BITCASH: N_("BitCash"),
    Means.POINT_PLUS: N_("mixi Point Plus"),
}


def support(device: Device, carrier: Carrier) -> Support:
    """What someone of this carrier can do with points on this device."""
    return BY_CARRIER[carrier] if device is Device.MOBILE else Support()


def offered(device: Device, carrier: Carrier) -> tuple[Means, ...]:
    """The means that someone of this carrier can choose from on this device."""
    if support(device, carrier).get is Mark.NO:
        return ()
    return tuple(means for means in MEANS[device] if carrier in carriers(means))


def carriers(means: Means) -> frozenset[Carrier]:
    """Whose users are offered this."""
    return BOUND.get(means) or NAMED.get(means) or frozenset(Carrier)
