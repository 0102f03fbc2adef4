"""The rules of the payment programme that the shop keeps, each with the code that enforces it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask_babel import LazyString
from flask_babel import lazy_gettext as _

from storefront.config import PACKAGE, settings
from storefront.mixi import atom, client, entrance, payments, questions
from storefront.mixi.channel import MAXIMUM, MINIMUM
from storefront.shop import catalog_file, limits
from storefront.shop.devices import Device
from storefront.shop.units import Unit


@dataclass(frozen=True)
class Rule:
    """A rule in words, where it is from, and what enforces it."""

    words: LazyString
    source: LazyString
    enforced_by: Callable[..., Any]

    @property
    def place(self) -> str:
        """File, line and name of the code."""
        file = inspect.getsourcefile(self.enforced_by) or ""
        line = inspect.getsourcelines(self.enforced_by)[1]
        return f"{Path(file).relative_to(PACKAGE.parent)}:{line} {self.enforced_by.__qualname__}"

    @property
    def code(self) -> str:
        return inspect.getsource(self.enforced_by)


PROGRAMME = _("mixi Payment Program, overview")
PROTOCOL = _("mobile payment API")
NOW = {True: _("now: selling"), False: _("now: stopped")}


def rules() -> list[Rule]:
    """Every rule, in the order in which a sale meets it."""
    stopped = NOW[settings().selling]
    return [
        Rule(
            _(
                "This app sells digital goods of its own: what is in the catalogue, used in the bag, and "
                "neither downloaded nor turned into money."
            ),
            _("mPP guidelines"),
            catalog_file.Entry,
        ),
        Rule(
            _("An item costs at least %(minimum)s points.", minimum=MINIMUM),
            PROGRAMME,
            catalog_file.read,
        ),
        Rule(
            _(
                "One purchase costs at most %(mobile)s points on mobile phone and smartphone, %(pc)s on PC.",
                mobile=f"{MAXIMUM[Device.MOBILE]:,}",
                pc=f"{MAXIMUM[Device.PC]:,}",
            ),
            PROGRAMME,
            limits.standing,
        ),
        Rule(
            _("A price is shown with mixi's icon, the number and pt; where that is written is one place."),
            _("naming rules, as one reviewed shop followed them"),
            Unit,
        ),
        Rule(
            _("A payment is made when an item was chosen, and its buyer goes on to mixi at once."),
            PROTOCOL,
            client.PointClient.create,
        ),
        Rule(_("A payment is for exactly one item."), PROTOCOL, atom.PointRequest),
        Rule(
            _(
                "Goods are given out only for mixi's signed callback at the payment's own address, once, and "
                "before it stops listening."
            ),
            PROTOCOL,
            payments.settle,
        ),
        Rule(
            _(
                "mixi is asked about a payment only on its buyer's own visit, never in a batch, and not "
                "again within a pause."
            ),
            PROTOCOL,
            questions.refresh,
        ),
        Rule(
            _("A visitor is known only by mixi's signature."),
            PROTOCOL,
            entrance.recognise,
        ),
        Rule(
            _(
                "To stop selling, set STOREFRONT_SELLING=false: every buy form disappears, callbacks and "
                "bags stay (%(state)s).",
                state=stopped,
            ),
            PROGRAMME,
            limits.check,
        ),
    ]
