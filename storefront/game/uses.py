"""What a game uses of a customer's items: once for each of its keys, and the answer stays the same."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, mapped_column

from storefront import strict_json
from storefront.db import Model, fresh, transaction
from storefront.game.problems import KeyReused, Malformed, NoSuchCustomer
from storefront.shop import customers, inventory
from storefront.shop.customers import Customer
from storefront.shop.inventory import Grant

MOST = 1_000_000  # of an item at once; ours
ID = r"^[^\x00-\x1f\x7f]+$"


def _whole(number: object) -> object:
    """However it is written: 2.0 is an integer to JSON Schema, and to a game that has no other numbers."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


class Use(Model):
    """What the grant of a use does not say: how many were left then."""

    __tablename__ = "game_use"

    key: Mapped[str] = mapped_column(ForeignKey("grant.key"), primary_key=True)
    left: Mapped[int]


class Wish(BaseModel):
    """What a game asks to use."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    channel: Annotated[str, Field(pattern=ID, max_length=16)]
    external_id: Annotated[str, Field(pattern=ID, max_length=64)]
    item: Annotated[str, Field(pattern=ID, max_length=64)]
    quantity: Annotated[int, BeforeValidator(_whole), Field(ge=1, le=MOST)]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Parse a body, or Malformed."""
        try:
            return cls.model_validate(strict_json.read(body))
        except ValidationError as error:
            fields = {str(problem["loc"][0]) if problem["loc"] else "" for problem in error.errors()}
            wrong = sorted(fields & set(cls.model_fields)) or ["another field, or all of it"]
            raise Malformed(f"Wrong in the body: {', '.join(wrong)}.") from None
        except ValueError as error:
            raise Malformed(f"The body is {error}.") from None


@dataclass(frozen=True)
class Used:
    """What was used, and how many were left then."""

    wish: Wish
    left: int


def use(wish: Wish, key: str, now: datetime) -> Used:
    """Use what is wished for, or say what this key has used before.

    Call it as often as you like. Raises KeyReused, NoSuchCustomer, NotConsumable and TooFew.
    """
    name = f"game:{key}"
    used = _used(name)
    if used is None:
        _use(wish, name, now)
        used = _used(name)
    if used is None or used.wish != wish:
        raise KeyReused
    return used


def _use(wish: Wish, name: str, now: datetime) -> None:
    customer = customers.known(wish.channel, wish.external_id)
    if customer is None:
        raise NoSuchCustomer
    with transaction() as session:
        left = inventory.use_up(session, customer.id, wish.item, wish.quantity, name, now)
        if left is not None:
            session.add(Use(key=name, left=left))


def _used(name: str) -> Used | None:
    said = (Customer.channel, Customer.external_id, Grant.item_id, -Grant.quantity, Use.left)
    query = select(*said).select_from(Use).join(Grant, Grant.key == Use.key)
    row = fresh().execute(query.join(Customer).where(Use.key == name)).one_or_none()
    if row is None:
        return None
    channel, external_id, item, quantity, left = row
    return Used(Wish(channel=channel, external_id=external_id, item=item, quantity=quantity), left)
