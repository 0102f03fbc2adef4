"""What people hold in the hand, and which carrier serves their mobile phone. Pure."""

import re
from enum import StrEnum

from storefront.sandbox.language import N_


class Device(StrEnum):
    """The devices of the payment programme."""

    MOBILE = "mobile"
    SMARTPHONE = "smartphone"
    PC = "pc"

    @property
    def label(self) -> str:
        """Its name, a text of the catalogue."""
        return _DEVICES[self]

    @property
    def on_own_domain(self) -> bool:
        """Whether the app opens at its own address; on a mobile phone it opens in the container."""
        return self is not Device.MOBILE


class Carrier(StrEnum):
    """Who serves a mobile phone."""

    DOCOMO = "docomo"
    AU = "au"
    SOFTBANK = "softbank"
    WILLCOM = "willcom"
    EMOBILE = "emobile"

    @property
    def label(self) -> str:
        """Its name, a text of the catalogue."""
        return _CARRIERS[self]


_DEVICES = {
    Device.MOBILE: N_("Mobile phone"),
    Device.SMARTPHONE: N_("Smartphone"),
    Device.PC: N_("PC"),
}
_CARRIERS = {
    Carrier.DOCOMO: N_("docomo"),
    Carrier.AU: N_("au"),
    Carrier.SOFTBANK: N_("SoftBank"),
    Carrier.WILLCOM: N_("WILLCOM"),
    Carrier.EMOBILE: N_("EMOBILE"),
}

# A desktop browser plays the phone, so the container says what a phone would say. That it does, and
# which handsets these are, is ours; like the platform's, they carry no id of the handset.
HANDSETS = {
    Carrier.DOCOMO: "DoCoMo/2.0 P07A3(c500;TB;W24H15)",
    Carrier.AU: "KDDI-SH38 UP.Browser/6.2_7.2.7.1.K.4.171 (GUI) MMP/2.0",
    Carrier.SOFTBANK: (
        "SoftBank/1.0/940SH/SHJ001 Browser/NetFront/3.5 Profile/MIDP-2.0 Configuration/CLDC-1.1"
    ),
    Carrier.WILLCOM: "Mozilla/3.0(WILLCOM;KYOCERA/WX340K/2;3.0.3.11.000000/1/C256) Opera 7.2 EX",
    Carrier.EMOBILE: "emobile/1.0.0 (H11T; like Gecko; Wireless) NetFront/3.4",
}
_PHONE = re.compile(
    r"^(DoCoMo/|KDDI-|UP\.Browser/|SoftBank/|Vodafone/|J-PHONE/|MOT-|emobile/|Huawei/1\.0)|WILLCOM|DDIPOCKET"
)


def user_agent(given: str, carrier: Carrier) -> str:
    """What a mobile phone of this carrier calls itself; a browser that says it is one is believed."""
    return given if _PHONE.search(given) else HANDSETS[carrier]
