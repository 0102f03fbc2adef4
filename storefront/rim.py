"""What each room brings to commands, doctor, reports and demo, which know no room by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

import click
from flask import Flask
from sqlalchemy.orm import Session

from storefront import ROOMS, create_app
from storefront.config import SettingsError
from storefront.findings import Check
from storefront.tables import Section


@dataclass(frozen=True)
class Secret:
    """A secret that others know as well, if it is set: the setting's field, and the doctor's words for it."""

    field: str
    called: str
    blank: str  # what to do if it is
    ours_too: str  # what to do if it is our own key


@dataclass(frozen=True)
class Rim:
    """Everything of a room's that is asked for from outside the shop; a room makes it in its `rim.py`.

    The doctor makes the checks of what is `configured` before those of what is `recorded` in the database,
    and those that are `reached` over the wire last. `registration` says how the platform's own procedures
    stand. `platform` names the module of the sandbox with the `SERVER` that plays the platform in a demo,
    whose shop is `furnished` once it has goods. `load` puts on offer what depends on the shelf, in the
    transaction that has filled it, and says so in a line; it raises CatalogError. `fit` lets the room's files
    in a project go with another catalogue, of which it is told what each item costs where; `unfit` says by
    lines what does not go with one in those that are configured.
    """

    commands: Sequence[click.Command] = ()
    secrets: Sequence[Secret] = ()
    configured: Sequence[Check] = ()
    recorded: Sequence[Check] = ()
    reached: Sequence[Check] = ()
    outstanding: Callable[[], Sequence[Section]] = tuple
    registration: Callable[[TextIO], None] = lambda out: None
    platform: str = ""
    furnish: Callable[[], None] = lambda: None
    load: Callable[[Session], str] = lambda session: ""
    fit: Callable[[Path, Mapping[str, Mapping[str, int]]], str] = lambda project, prices: ""
    unfit: Callable[[Mapping[str, Mapping[str, int]]], Sequence[str]] = lambda prices: ()


def rims() -> Sequence[Rim]:
    """Of every room that has one, in the order of the rooms."""
    names = (f"{room}.rim" for room in ROOMS)
    return [import_module(name).RIM for name in names if find_spec(name)]


def shop() -> Flask:
    """The shop that a command works on; what is wrong with its settings is told in a sentence."""
    try:
        return create_app()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
