"""Every setting in a table: what it is called, what it is if nobody sets it, and what it means."""

from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from pydantic.fields import FieldInfo

from storefront import SETTINGS, tables
from storefront.config import PREFIX, HouseSettings
from storefront.tables import Row

NONE = "none"
HEADING = ("name", "default", "meaning")
ENVIRONMENT = r"""# Made by `storefront settings --env`: every setting, what it means, and its default.
# A line that begins with # sets nothing; those that do not are required. Keep this file its owner's alone.
# A value with a space or any of #$&;|<>()*?~!`\" in it stands in single quotes: then systemd, compose and a
# shell, as cron starts, read the same. One with an apostrophe stands in double quotes, and has no $`\" then.
# What is secret may stand in a file of its own instead, as STOREFRONT_SECRET_KEY_FILE=/run/secrets/key.
"""


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


def write_environment(out: TextIO) -> None:
    """For the file that a server takes its environment from."""
    if isinstance(out, TextIOWrapper):
        out.reconfigure(encoding="utf-8")
    out.write(ENVIRONMENT)
    for title, fields in _fields():
        out.write(f"\n## {title}\n")
        for name, field in fields:
            mark, value = ("", "") if field.is_required() else ("#", _written(field))
            unset = "" if value or mark == "" else f" ({_default(field)})"
            out.write(f"\n# {field.description}{unset}\n{mark}{PREFIX}{name.upper()}={value}\n")


def parts() -> Iterator[tuple[str, Sequence[Row]]]:
    """The house's, then each room's own, under a title."""
    for title, fields in _fields():
        yield title, [(name.upper(), _default(field), field.description or "") for name, field in fields]


def _fields() -> Iterator[tuple[str, Iterable[tuple[str, FieldInfo]]]]:
    house = HouseSettings.model_fields
    yield "The house", house.items()
    for room, kind in SETTINGS.items():
        own = kind.model_fields.items()
        yield room, [(name, field) for name, field in own if name not in house]


def _written(field: FieldInfo) -> str:
    """The default as the environment would have it; empty where words alone say it."""
    extra = field.json_schema_extra
    says_more = isinstance(extra, dict) and "unset" in extra
    if says_more or isinstance(field.default, Path):
        return ""
    return _default(field).strip("`").replace(NONE, "")


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
    return f"`{value}`" if value else NONE
