"""Contracts: one for each install, by the store's own id."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from storefront.colorme.plan_file import Form
from storefront.db import Model, words
from storefront.shop.customers import Customer

ID_LENGTH = 32  # of plans, options and contracts; ours, the source names none
SHOP_NAME_LENGTH = 128


class Reason(StrEnum):
    """Why a contract ended."""

    BY_SHOP_OWNER = "by_shop_owner"
    BY_UNPAID = "by_unpaid"
    BY_APP = "by_app"  # from our plan page: no hook follows
    REPLACED = "replaced"  # by a later install; its own uninstall was lost, or is still to come


class Contract(Model):
    """A plan that a shop owner chose, with its amounts as they were; days are Japan's.

    It takes part in the sums once `confirmed_at` is set: an install whose answer was lost is none at the
    store. `access_token` and `usage_token` are encrypted.
    """

    __tablename__ = "colorme_contract"
    __table_args__ = (
        Index(
            "ix_colorme_contract_standing",
            "customer_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    plan_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    form: Mapped[Form] = mapped_column(words(Form))
    price: Mapped[int | None]
    monthly: Mapped[int | None]
    initial: Mapped[int | None]
    shop_name: Mapped[str] = mapped_column(String(SHOP_NAME_LENGTH), default="")
    is_test: Mapped[bool]
    arrived_at: Mapped[datetime]  # the install hook, by the calendar
    installed_on: Mapped[date]
    trial_first: Mapped[date | None]
    trial_last: Mapped[date | None]
    charged_from: Mapped[date]
    confirmed_at: Mapped[datetime | None]  # when its owner first came in
    access_token: Mapped[str | None] = mapped_column(String(1024))
    ended_at: Mapped[datetime | None]
    reason: Mapped[Reason | None] = mapped_column(words(Reason))
    usage_token: Mapped[str | None] = mapped_column(String(1024))
    closing_at: Mapped[datetime | None]  # until then usage may be reported with that token
    # The day on which the book has to be looked at next; none where something has changed since.
    reckon_on: Mapped[date | None] = mapped_column(index=True)
    asked_to_go_at: Mapped[datetime | None]  # a removal without an answer; the next page asks the store
    customer: Mapped[Customer] = relationship()

    @property
    def account(self) -> str:
        return self.customer.external_id
