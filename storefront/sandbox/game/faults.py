"""What goes wrong in the town on purpose, once, at the next request to the shop. Pure data."""

from collections.abc import Mapping
from enum import StrEnum

from storefront.sandbox.language import N_


class Fault(StrEnum):
    """What goes wrong."""

    SILENT = "silent"
    TOKEN = "token"  # noqa: S105  # what is wrong, and no token
    CURSOR = "cursor"
    LOST = "lost"


SAYS: Mapping[Fault, str] = {
    Fault.SILENT: N_("The shop cannot be reached"),
    Fault.TOKEN: N_("The shop gets a wrong token"),
    Fault.CURSOR: N_("The cursor is one of another shop's"),
    Fault.LOST: N_("The answer to the next use is lost"),
}
