"""What amounts are counted in, and how each unit wants to be shown; each counter has its own."""

from dataclasses import dataclass

from flask_babel import LazyString


@dataclass(frozen=True)
class Unit:
    """`pattern` has `%s` for the number; `icon` is a drawing in static/art, or empty; `note` is beside it."""

    code: str
    name: LazyString
    pattern: LazyString | str
    icon: str = ""
    note: LazyString | str = ""

    def written(self, number: str) -> str:
        """With its sign before all else: -¥110."""
        digits = number.removeprefix("-")
        return number.removesuffix(digits) + str(self.pattern).replace("%s", digits)
