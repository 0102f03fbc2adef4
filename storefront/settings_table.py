"""Every setting in a table: what it is called, what it is if nobody sets it, and what it means."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from pydantic.fields import FieldInfo

from storefront import COUNTERS, tables
from storefront.config import HouseSettings
from storefront.tables import Row

HEADING = ("name", "default", "meaning")


def write(out: TextIO) -> None:
    """For a terminal."""
    for title, rows in parts():
        out.write(f"{title}\n")
        tables.table(out, None, HEADING, rows)
        out.write("\n")


def write_markdown(out: TextIO) -> None:
    """For a README."""
    for title, rows in parts():
        lines = (HEADING, ["---"] * len(HEADING), *([f"`{name}`", *rest] for name, *rest in rows))
        out.write(f"### {title}\n\n")
        out.writelines(f"| {' | '.join(map(str, line))} |\n" for line in lines)
        out.write("\n")


def parts() -> Iterator[tuple[str, Sequence[Row]]]:
    """The house's, then each counter's own, under a title."""
    house = HouseSettings.model_fields
    yield "The house", _rows(house.items())
    for counter in COUNTERS:
        if counter.settings:
            own = ((name, one) for name, one in counter.settings.model_fields.items() if name not in house)
            yield counter.channel, _rows(own)


def _rows(fields: Iterable[tuple[str, FieldInfo]]) -> Sequence[Row]:
    return [(name.upper(), _default(field), field.description or "") for name, field in fields]


def _default(field: FieldInfo) -> str:
    extra, value = field.json_schema_extra, field.default
    if isinstance(extra, dict) and "unset" in extra:
        return str(extra["unset"])
    if field.is_required():
        return "required"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, Path):
        return "the shipped one"
    return f"`{value}`" if value else "none"
