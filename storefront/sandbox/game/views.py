"""The town's pages: the way in, the town of one person, and what was asked of the shop."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from storefront.sandbox import clock
from storefront.sandbox.game import client, desk, goods, holdings, residents, uses
from storefront.sandbox.game.client import Refused, Silent
from storefront.sandbox.game.context import game
from storefront.sandbox.game.faults import SAYS, Fault
from storefront.sandbox.game.goods import Good
from storefront.sandbox.game.residents import Resident
from storefront.sandbox.game.uses import State
from storefront.sandbox.language import N_

FAULT = "fault"  # in the browser's session: what goes wrong at its next request to the shop
MOST = 64  # letters of an item's id, and of a key
TROUBLES = {
    "silent": N_("The shop does not answer just now."),
    "nonsense": N_("The shop said something that nobody here understands."),
    "token": N_("The shop does not take our token. Both sides must have the same."),
    "closed": N_("The shop is not open to games. It needs STOREFRONT_GAME_TOKEN."),
    "cursor-gone": N_("The shop's book is another one now, as after a restore. The town has read it anew."),
    "refused": N_("The shop refuses to say what is new."),
}
OUTCOMES = {
    "again": N_("That was this very button: it counts once, however often it is pressed."),
    "asked": N_("No answer came, so nobody knows whether it was used. Press again: it counts once."),
    "too-few": N_("There is none left, and nothing was used."),
    "not-consumable": N_("This cannot be used up: it stays."),
    "refused": N_("The shop refused it, and nothing was used."),
}

blueprint = Blueprint("game", __name__)


@dataclass(frozen=True)
class Stand:
    """An item in somebody's town, and the key of its button."""

    item: str
    good: Good
    quantity: int
    tests: int
    used: int
    taken_back: int
    key: str
    is_open: bool  # whether this key was sent before, and nobody knows what became of it


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """Whose towns this browser knows, and how one comes here."""
    return render_template("sandbox/game/home.html", residents=residents.of_browser())


@blueprint.get("/enter")
def enter() -> ResponseReturnValue:
    """Somebody comes from the platform."""
    if request.method == "HEAD":  # a look at the link, by which nobody comes
        return "", 204
    resident = residents.let_in(game(), request.args.get("pass", ""), clock.now())
    return redirect(url_for(".town", number=resident.id), 303)


@blueprint.get("/towns/<int:number>")
def town(number: int) -> ResponseReturnValue:
    """The harbour, with what somebody has bought for it."""
    resident = _resident(number)
    trouble = holdings.read_on(game(), _fault(Fault.SILENT, Fault.TOKEN, Fault.CURSOR))
    stands = _stands(resident)
    told = [{"item": one.item, "quantity": one.quantity, "tests": one.tests} for one in stands]
    desk.shown(game(), resident, told)
    return render_template(
        "sandbox/game/town.html",
        resident=resident,
        stands=stands,
        there={one.good.drawing for one in stands if one.quantity > 0},
        done={one.good.drawing for one in stands if one.used > 0},
        meals=sum(one.used for one in stands if one.good.drawing == "loaf"),
        trouble=trouble,
        why=TROUBLES.get(trouble, TROUBLES["refused"]),
        read_at=holdings.bookmark().read_at,
        outcomes=OUTCOMES,
        faults=SAYS,
        waiting=session.get(FAULT),
    )


@blueprint.post("/towns/<int:number>/uses")
def use(number: int) -> ResponseReturnValue:
    """Use one of an item up, by the key of the button."""
    resident, item, key = _resident(number), request.form.get("item", ""), request.form.get("key", "")
    if not _is_word(item) or not _is_word(key):
        abort(403)
    fault = _fault(Fault.SILENT, Fault.TOKEN, Fault.LOST)
    state, why, is_new = uses.use(game(), resident, item, key, clock.now(), fault)
    if state is State.USED and is_new:
        desk.used(game(), resident, item)
    flash(item, _word(state, why, is_new=is_new))
    return redirect(url_for(".town", number=number), 303)


@blueprint.post("/towns/<int:number>/faults/<any(silent, token, cursor, lost):kind>")
def fail(number: int, kind: str) -> ResponseReturnValue:
    """Let something go wrong at the next request to the shop that this browser brings about."""
    resident = _resident(number)
    session[FAULT] = kind
    return redirect(url_for(".town", number=resident.id, _anchor="" if kind != Fault.LOST else "things"), 303)


@blueprint.get("/calls")
def calls() -> ResponseReturnValue:
    """What was asked of the shop lately, and what it said. Of strangers' towns nothing."""
    mine = [one.external_id for one in residents.of_browser()]
    return render_template("sandbox/game/calls.html", calls=client.calls(mine), faults=SAYS)


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """The process answers."""
    return "ok\n", {"Content-Type": "text/plain; charset=utf-8"}


def _resident(number: int) -> Resident:
    return residents.of_number(number) or abort(404)


def _is_word(text: str) -> bool:
    return 0 < len(text) <= MOST and text.isascii() and text.isprintable()


def _fault(*kinds: Fault) -> Fault | None:
    """What goes wrong now, if it is one of these; once."""
    word = session.get(FAULT)
    if word not in kinds:
        return None
    session.pop(FAULT)
    return Fault(word)


def _stands(resident: Resident) -> Sequence[Stand]:
    """What somebody has here: as we have read it, or, while that is not to its end, as the shop says."""
    known = {one.item: one for one in holdings.things(resident.channel, resident.external_id)}
    held = {item: (one.quantity, one.tests) for item, one in known.items()}
    if not holdings.bookmark().is_whole:
        try:
            said = client.holdings(game(), resident.channel, resident.external_id)
            held = dict.fromkeys(known, (0, 0)) | {one.item: (one.quantity, one.tests) for one in said}
        except (Silent, Refused):
            pass
    waiting = uses.waiting(resident)
    return [
        Stand(
            item,
            goods.of(item),
            quantity,
            min(max(0, tests), max(0, quantity)),
            known[item].used if item in known else 0,
            known[item].taken_back if item in known else 0,
            waiting.get(item) or uses.fresh_key(),
            item in waiting,
        )
        for item, (quantity, tests) in sorted(held.items())
    ]


def _word(state: State, why: str, *, is_new: bool) -> str:
    """What the page says about a press."""
    if state is State.USED:
        return "used" if is_new else "again"
    if state is State.ASKED:
        return "asked"
    return why if why in OUTCOMES else "refused"
