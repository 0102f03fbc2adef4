"""What becomes of the goods in the town, by the ids under which a shop sells them. Pure.

A shop sells what it likes: what has no line here comes as a crate, which can be opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from storefront.sandbox.language import N_


@dataclass(frozen=True)
class Good:
    """`drawing` is its place in the scene. What can be used up has a button, and words for when it was."""

    drawing: str
    name: str
    stands: str
    button: str = ""
    used: str = ""


CRATE = Good(
    "crate",
    "",
    N_("A crate on the quay. Nobody here knows what is in it."),
    N_("Open one"),
    N_("Opened. The cat has moved into the crate."),
)
GOODS: Mapping[str, Good] = {
    "loaf": Good(
        "loaf",
        N_("Round loaf"),
        N_("It steams on the table at the quay, and everybody pretends not to look."),
        N_("Share one with the harbour"),
        N_("Eaten. The people of the harbour are full and happy."),
    ),
    "excalibur": Good(
        "sword", N_("Excalibur"), N_("It hangs on the wall of the tavern. The bollard is lonely now.")
    ),
    "tidetable": Good("tidetable", N_("Tide table"), N_("Pinned up at the pier. Nobody has wet feet today.")),
    "moss": Good(
        "moss",
        N_("Bottle of glowing moss"),
        N_("It stands on the steps and glows a little through the cork."),
        N_("Pull the cork of one"),
        N_("The steps glow green tonight. Nobody stumbles."),
    ),
    "whistle": Good("whistle", N_("Lucky whistle"), N_("It hangs at the harbour office. A gull answers it.")),
    "lantern": Good(
        "lantern", N_("Sailor's lantern"), N_("It is lit, and with it every window of the harbour.")
    ),
    "ticket": Good(
        "ticket",
        N_("Ferry ticket"),
        N_("The ferry waits. The captain looks at his watch."),
        N_("Board the ferry"),
        N_("You were on the outer island. It has one tree and a very proud goat."),
    ),
    "cloak": Good("cloak", N_("Canvas cloak"), N_("An old sailor wears it, and tells of the sail it was.")),
    "fireworks": Good(
        "fireworks",
        N_("Harbour fireworks"),
        N_("Three in a bundle, on the quay. Keep them away from the cat."),
        N_("Light a bundle"),
        N_("The whole town looked up."),
    ),
    "coat": Good("coat", N_("Captain's coat"), N_("The cat wears it, and everybody salutes.")),
    "telescope": Good(
        "telescope",
        N_("Lighthouse telescope"),
        N_("On the lighthouse. The keeper has been late ever since."),
    ),
}


def of(item: str) -> Good:
    """What becomes of this item here."""
    return GOODS.get(item, CRATE)
