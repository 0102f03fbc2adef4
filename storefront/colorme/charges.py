"""Options: bought at once, for keeps. The store asks nobody, so the press of our button is the consent."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from storefront.colorme.contracts import ID_LENGTH
from storefront.colorme.intents import Intent
from storefront.db import Model
from storefront.shop.catalog import Item


class Charge(Intent, Model):
    """One option, with name and price as it was asked for; the code is our form's nonce."""

    __tablename__ = "colorme_charge"

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    contract_id: Mapped[str] = mapped_column(ForeignKey("colorme_contract.id"))
    option_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"))
    item_name: Mapped[str] = mapped_column(String(128))
    yen: Mapped[int]  # before tax, as registered
    paid: Mapped[int]  # with tax, as the button said
    charged_yen: Mapped[int | None]  # before tax, as the store answered
    is_test: Mapped[bool]
    made_at: Mapped[datetime]  # by the calendar
    item: Mapped[Item] = relationship()
