"""What a visitor holds in the hand, in the words of the payment programme."""

from collections.abc import Mapping
from enum import StrEnum

from flask_babel import LazyString
from flask_babel import lazy_gettext as _


class Device(StrEnum):
    MOBILE = "mobile"  # a mobile phone, inside the platform's container
    SMARTPHONE = "smartphone"
    PC = "pc"


CALLED: Mapping[Device, LazyString | str] = {
    Device.MOBILE: _("Mobile phone"),
    Device.SMARTPHONE: _("Smartphone"),
    Device.PC: "PC",
}
