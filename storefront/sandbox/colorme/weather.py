"""What goes wrong at the store on purpose, for the next so many requests of a kind, of one shop or of any."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from storefront.sandbox.colorme.store import Base, reading, transaction
from storefront.sandbox.language import N_

PLACES = {
    "install": N_("Install hook"),
    "uninstall": N_("Uninstall hook"),
    "oauth": N_("OAuth token"),
    "shop": N_("Shop (shop.json)"),
    "charge": N_("Option charge"),
    "usage": N_("Usage charge"),
    "removal": N_("Removal by the app"),
}
OF_HOOKS = {
    "slow": N_("leaves so many seconds late"),
    "lost": N_("is lost on its way"),
    "twice": N_("arrives twice"),
    "late": N_("leaves when nobody waits for it any more"),
    "altered": N_("is altered after it was signed"),
    "unheard": N_("is answered, and nobody hears it"),
}
OF_CALLS = {
    "slow": N_("is answered after so many seconds"),
    "before": N_("fails with 500 before anything is done"),
    "after": N_("fails with 500 after everything is done"),
    "lost": N_("is done, and the answer is lost"),
    "cut": N_("is done, and the answer is cut in the middle"),
    "rubbish": N_("is not done, and answered with a page"),
    "401": N_("is refused with 401"),
    "429": N_("is refused with 429"),
}
HOOKS = ("install", "uninstall")
KINDS: Mapping[str, Sequence[str]] = {
    place: tuple(OF_HOOKS if place in HOOKS else OF_CALLS) for place in PLACES
}
MOST = 100
MOST_SECONDS = 30


class Weather(Base):
    """Weather that is not over; `account` is the shop that it is for, or nothing."""

    __tablename__ = "weather"

    id: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[str]
    what: Mapped[str]
    account: Mapped[str | None]
    seconds: Mapped[int] = mapped_column(default=1)
    left: Mapped[int]
    met: Mapped[int] = mapped_column(default=0)

    @property
    def kind(self) -> str:
        return f"{self.place}.{self.what}"


def words(what: str, place: str) -> str:
    """What it does, as a text."""
    return (OF_HOOKS if place in HOOKS else OF_CALLS)[what]


def come(kind: str, times: int, seconds: int, account: str | None) -> None:
    """Let it come."""
    place, _, what = kind.partition(".")
    with transaction() as session:
        session.add(Weather(place=place, what=what, account=account, seconds=seconds, left=times))


def go(number: int | None = None) -> None:
    """As if it had never been set; all of it where no number is said."""
    gone = delete(Weather)
    with transaction() as session:
        session.execute(gone if number is None else gone.where(Weather.id == number))


def standing() -> Sequence[Weather]:
    with reading() as session:
        return session.scalars(select(Weather).where(Weather.left > 0).order_by(Weather.id)).all()


def take(place: str, what: str, account: str | None) -> Weather | None:
    """The weather that strikes here and now, counted; None if none does."""
    fits = (
        Weather.place == place,
        Weather.what == what,
        Weather.left > 0,
        or_(Weather.account.is_(None), Weather.account == account),
    )
    chosen = select(Weather.id).where(*fits).order_by(Weather.id).limit(1)
    with reading() as session:
        if session.scalars(chosen).first() is None:
            return None
    counted = update(Weather).where(Weather.id == chosen.scalar_subquery())
    counted = counted.values(left=Weather.left - 1, met=Weather.met + 1)
    with transaction() as session:
        return session.scalars(counted.returning(Weather)).one_or_none()
