"""What a visitor holds in the hand, in the words of the payment programme."""

from enum import StrEnum


class Device(StrEnum):
    MOBILE = "mobile"  # a mobile phone, inside the platform's container
    SMARTPHONE = "smartphone"
    PC = "pc"
