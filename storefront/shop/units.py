"""What amounts are counted in, and how each unit wants to be shown; the counters add their own."""

from dataclasses import dataclass

from flask import Flask
from flask_babel import LazyString


@dataclass(frozen=True)
class Unit:
    """`pattern` has `%s` for the number; `icon` is a drawing in static/art, or empty."""

    code: str
    name: LazyString
    pattern: LazyString | str
    icon: str = ""

    def written(self, number: str) -> str:
        return str(self.pattern).replace("%s", number)


def add_unit(app: Flask, unit: Unit) -> None:
    units: dict[str, Unit] = app.extensions.setdefault("units", {})
    units[unit.code] = unit
    app.jinja_env.globals["units"] = units
