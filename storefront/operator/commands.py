"""What the operator puts right from a terminal, as on their pages."""

from collections.abc import Callable
from typing import Any

import click
from flask_babel import force_locale

from storefront import clock, rim
from storefront.languages import IN_CODE
from storefront.shop import corrections, customers
from storefront.shop.corrections import AnotherBefore, Correction, Done, DoneBefore, Note, Refused
from storefront.shop.customers import Customer
from storefront.tables import stamp

Command = Callable[..., None]


def of_a_case(command: Command) -> Command:
    """Whose, what, and what every correction has to say."""
    for option in (
        click.option("--by", required=True, help="Who you are; kept with it."),
        click.option("--reason", required=True, help="Why; kept with it."),
        click.option(
            "--for",
            "cause",
            required=True,
            help="The payment's code, or the number of a letter: once for each.",
        ),
        click.option(
            "--again", is_flag=True, help="Although it was done before with this item, for another case."
        ),
        click.option("--quantity", default=1, show_default=True, help="How many."),
        click.option("--channel", default="", help="The buyer's, where two of this id come in."),
        click.argument("item"),
        click.argument("customer"),
    ):
        command = option(command)
    return command


@click.command("grant")
@of_a_case
@click.option("--paid", default=0, show_default=True, help="What the buyer has paid, in the counter's unit.")
@click.option("--counter", default="", help="The counter that was paid, if not the buyer's own.")
def grant(paid: int, counter: str, **case: Any) -> None:
    """Give an item to a customer by hand: once for its cause, with goods and entry of kinds of their own."""
    _put_right(corrections.give, case, amount=paid, at=counter)


@click.command("take-back")
@of_a_case
@click.option("--counter", default="", help="The counter in whose book it is, if not the buyer's own.")
def take_back(counter: str, **case: Any) -> None:
    """Take an item from a customer by hand: once for its cause. What was paid stays in the book."""
    _put_right(corrections.take, case, at=counter)


def _put_right(act: Callable[..., Correction], case: dict[str, Any], at: str, **more: int) -> None:
    app = rim.shop()
    with app.app_context(), app.test_request_context(), force_locale(IN_CODE):
        try:
            note = Note.read(case["by"], case["cause"], case["reason"])
            customer = _customer(case["customer"], case["channel"])
            more_of_it = {"quantity": case["quantity"], "beside": corrections.ANY if case["again"] else None}
            done = act(customer, case["item"], note, clock.now(), channel=at, **more_of_it, **more)
        except Refused as refusal:
            raise click.ClickException(f"nothing was done: {refusal.words}") from None
        except DoneBefore as done_before:
            raise click.ClickException(f"nothing was done: {_said(done_before.first)}") from None
        except AnotherBefore as another:
            raise click.ClickException(
                f"nothing was done: {_said(another.before)}; if yours is another case, say --again"
            ) from None
        click.echo(f"{done.act.value} {done.quantity} {done.item_id}, under {done.key}")


def _said(done: Done) -> str:
    return (
        f"{done.by} did it at {stamp(done.at)} for {done.cause!r}, quantity {done.quantity}, under {done.key}"
    )


def _customer(external_id: str, channel: str) -> Customer:
    found = [one for one in customers.named(external_id) if channel in ("", one.channel)]
    if not found:
        raise click.ClickException(f"no customer is {external_id}: buyers are known from their first visit")
    if len(found) > 1:
        channels = ", ".join(one.channel for one in found)
        raise click.ClickException(f"{external_id} comes in by {channels}: say which by --channel")
    return found[0]
