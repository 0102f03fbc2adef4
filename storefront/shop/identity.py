"""Who the shop is, as its keeper writes it: its name and greeting in each language, and its sign."""

from pathlib import Path

from flask import Flask, current_app
from pydantic import BaseModel, ConfigDict
from ruamel.yaml.nodes import MappingNode

from storefront.config import PREFIX, SettingsError
from storefront.shop import yaml_file
from storefront.shop.catalog_file import OF_ART, Art, Description, Name
from storefront.shop.yaml_file import Unreadable, Written, plain

SHIPPED = Path(__file__).with_name("identity.yaml")
OF_FIELD = {"sign": OF_ART}


class IdentityError(Exception):
    """The file breaks a rule; each line names the place and the rule."""


class Identity(BaseModel):
    """Under the rules of an item's name, description and drawing."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Name
    greeting: Description
    sign: Art


def read(path: Path) -> Identity:
    """What the file says, or IdentityError with every broken rule and its line."""
    try:
        root = yaml_file.read(path)
    except Unreadable as error:
        raise IdentityError(str(error)) from None
    if not isinstance(root, MappingNode):
        raise IdentityError(f"{path}:1: an identity is a mapping of name, greeting and sign")
    written = Written()
    identity = written.made(Identity, root, "an identity", OF_FIELD)
    if identity is None:
        raise IdentityError("\n".join(f"{path}:{line}: {plain(reason)}" for line, reason in written.problems))
    return identity


def init_app(app: Flask) -> None:
    """Read it once; a wrong file is a wrong setting, and the shop does not start."""
    file = app.config["SETTINGS"].identity
    try:
        app.extensions["identity"] = found = read(file)
        if not (Path(str(app.static_folder)) / "art" / found.sign).is_file():
            raise IdentityError(f"{file}: sign: there is no {found.sign} in {app.static_folder}/art")
    except IdentityError as error:
        told = "\n  ".join(["The shop cannot start. Put right what it is called:", *str(error).splitlines()])
        raise SettingsError(f"{told}\n  ({PREFIX}IDENTITY names the file)") from None


def current() -> Identity:
    identity: Identity = current_app.extensions["identity"]
    return identity
