"""What is outstanding with mixi."""

from collections.abc import Mapping, Sequence

from storefront.mixi.outstanding import Unconfirmed, not_known, unconfirmed, used_up
from storefront.mixi.payments import Payment
from storefront.tables import Row, Section, stamp

ASKED = ("code", "owner", "item", "points", "last_ok", "last_asked", "removed", "test", "unknown")
UNDONE = ("code", "owner", "item", "points", "state")
# Of the one file, which has a column for numbers of goods, too.
COLUMNS = ("what", *ASKED[:4], "quantity", *ASKED[4:])


def outstanding() -> Sequence[Section]:
    """Payments that mixi has not confirmed or does not know, and those undone in vain."""
    waiting = [_asked(one) for one in unconfirmed()]
    unknown = [_asked(Unconfirmed(payment, None)) for payment in not_known()]
    undone = [_undone(payment) for payment in used_up()]
    return (
        Section(
            "completed here, not confirmed by mixi",
            ASKED,
            waiting,
            COLUMNS,
            [_line("unconfirmed", ASKED, row) for row in waiting],
        ),
        Section(
            "confirmed once, and not known to mixi any more",
            ASKED,
            unknown,
            COLUMNS,
            [_line("unknown", ASKED, row) for row in unknown],
        ),
        Section(
            "paid back or void, and the goods were used up",
            UNDONE,
            undone,
            COLUMNS,
            [_line(str(row[-1]), UNDONE[:-1], row[:-1]) for row in undone],
        ),
    )


def _asked(one: Unconfirmed) -> Row:
    payment = one.payment
    return (
        payment.point_code,
        payment.owner_id,
        payment.item_id,
        payment.points,
        stamp(payment.ok_at),
        stamp(payment.asked_at),
        stamp(one.removed_at),
        "test" if payment.is_test else "",
        stamp(payment.unknown_at),
    )


def _undone(payment: Payment) -> Row:
    return payment.point_code, payment.owner_id, payment.item_id, payment.points, payment.status.value


def _line(what: str, heading: Sequence[str], row: Row) -> Mapping[str, object]:
    return {"what": what, **dict(zip(heading, row, strict=True))}
