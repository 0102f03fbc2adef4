"""What the page of a walk offers to press for a step, in place of a way through the desk's own forms."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import url_for

from storefront.sandbox.cast import BY_KEY
from storefront.sandbox.context import sandbox
from storefront.sandbox.desk.wording import SWITCHES
from storefront.sandbox.devices import Device
from storefront.sandbox.kinds import KINDS
from storefront.sandbox.language import N_, language
from storefront.sandbox.mixi import payments
from storefront.sandbox.mixi.payments import Payment, Status
from storefront.sandbox.mixi.resend import FAULTS, Word
from storefront.sandbox.stage import Stage
from storefront.sandbox.walkthroughs import Walkthrough

RECENT = 12
OPEN_APP = N_("%(device)s: open the app as %(name)s")
WITH_NAME = N_("Open the shop with the name of %(name)s in the address")
WEATHER = re.compile(r"([a-z0-9_.]+)(?::(-?\d+))?(?:\*(\d+))?(?: (create|confirm))?")
PLAIN = {
    "replayed": N_("Send the last callback again, to the nonce"),
    "bought": N_("Send the decision to buy"),
    "cancelled": N_("Send the decision to cancel"),
    "events": N_("Send held events"),
    "unsigned_page": N_("Open a page unsigned"),
}
BY_PHONE = {
    Word.BARE: N_("Open the callback's address on the phone, without its word"),
    Word.WRONG: N_("Open it with a wrong word"),
    Word.ANOTHER: N_("Open it with another payment's word"),
}


@dataclass(frozen=True)
class Press:
    """A button with what it sends, or, without fields, a link."""

    says: str
    leads: str
    fields: Mapping[str, str] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)  # what the words name
    is_a_window: bool = False


def of(walkthrough: Walkthrough, number: int, on: Stage, device: Device) -> Sequence[Press]:
    """For this step of a walk, in the order in which it is played; each once."""
    who = walkthrough.who
    for step in walkthrough.steps[:number]:
        who = next((words[3:] for words in reversed(step.play) if words.startswith("as ")), who)
    found: dict[tuple[str, str], Press] = {}
    for words in walkthrough.steps[number].play:
        if words.startswith("as "):
            who = words[3:]
        for press in _presses(words, on, who, device):
            found.setdefault((press.leads, str(press.fields)), press)
    return list(found.values())


def _presses(words: str, on: Stage, who: str, device: Device) -> Iterator[Press]:
    verb, _, how = words.partition(" ")
    made = payments.recent(on.id, RECENT)
    match verb, how.split():
        case ("as", _):
            yield _open_app(device, who)
        case ("open", ["app", *more]):
            yield from _openings(more, who, device)
        case ("open", ["bag", "of", other]):
            fields, values = {"persona": other, "path": "/"}, {"name": BY_KEY[other].name.of(language())}
            yield Press(WITH_NAME, _act("open-claimed"), fields, values, is_a_window=True)
        case ("open", ["finish"]) if made:
            fields = {"payment": made[0].code, "persona": who, "device": device.value}
            yield Press(
                N_("Open its result page with status=10"), _act("finish-of"), fields, is_a_window=True
            )
        case ("confirm" | "cancel" | "top", _):
            yield from (_screen(one) for one in made if one.status is Status.CREATE)
        case ("pay", _):
            done = [one for one in made if one.status is Status.COMPLETE]
            for one in done if how.endswith("all") else done[:1]:
                yield Press(N_("Pay back: %(item)s"), _act("pay-back"), {"payment": one.code}, _item(one))
        case ("send", [what]):
            yield from _sent(what, made, who)
        case ("switch", [name, to]):
            says = N_("Turn on: %(switch)s") if to == "on" else N_("Turn off: %(switch)s")
            fields = {"on": "yes" if to == "on" else "no"}
            leads = url_for("actions.turn_switch", name=name)
            yield Press(says, leads, fields, {"switch": SWITCHES[name]})
        case ("turn", ["clock", to]):
            fields = {"to": "now"} if to == "now" else {"seconds": to}
            yield Press(N_("Turn the clock: %(to)s s"), url_for("actions.turn_clock"), fields, {"to": to})
        case ("remove", _):
            yield Press(N_("Remove the app"), _act("remove-app"), {"persona": who})
        case ("rotate", _):
            fields = {"device": device.value}
            yield Press(N_("Sign starts under a new key"), _act("rotate-key"), fields)
        case ("weather", ["clear"]):
            yield Press(N_("Clear all weather"), url_for("actions.clear_all"), {})
        case ("weather", _):
            yield _weather(how)
        case ("town", _) if sandbox().settings.game_url:
            yield Press(N_("To the harbour town"), url_for("town.door", persona=who), is_a_window=True)
        case ("outside", _) if sandbox().settings.provider_url:
            yield Press(N_("To the provider's page"), f"{sandbox().settings.provider_url}/", is_a_window=True)


def _openings(how: Sequence[str], who: str, device: Device) -> Iterator[Press]:
    match list(how):
        case ["again"]:
            yield Press(N_("Open the last start address again"), _act("start-again"), {}, is_a_window=True)
        case ["as", other]:
            fields = {"persona": other, "device": device.value}
            says = N_("Open their start address in this browser")
            yield Press(says, _act("start-of-another"), fields, is_a_window=True)
        case ["by", "post"] | ["altered"] | ["unsigned"] | ["elsewhere"]:
            yield Press(N_("To the developer's page, which shows start addresses"), url_for("developer.show"))
        case [on, *_] if on in list(Device):
            yield _open_app(Device(on), who)
        case _:
            yield _open_app(device, who)


def _open_app(device: Device, who: str) -> Press:
    values = {"device": device.label, "name": BY_KEY[who].name.of(language())}
    leads = url_for("phone.pick_up", word=device.value)
    return Press(OPEN_APP, leads, {"persona": who}, values)


def _screen(payment: Payment) -> Press:
    return Press(N_("To the payment screen: %(item)s"), f"/point/{payment.token}", None, _item(payment))


def _item(payment: Payment) -> Mapping[str, str]:
    return {"item": payment.item_name}


def _sent(what: str, made: Sequence[Payment], who: str) -> Iterator[Press]:
    code = made[0].code if made else ""
    match what:
        case "events":
            yield Press(PLAIN[what], _act("send-events"), {})
        case "unsigned_page":
            yield Press(PLAIN[what], _act("open-unsigned"), {"persona": who, "path": "/"})
        case "forged_event":
            for by, says in (
                ("nobody", N_("Send a removal signed by nobody")),
                ("consumer", N_("Send a removal signed with the app's own key")),
            ):
                yield Press(says, _act("forged-event"), {"persona": who, "type": "remove", "by": by})
        case "notice_forged" | "notice_sum" | "notice_currency":
            yield Press(N_("To the provider's page"), f"{sandbox().settings.provider_url}/", is_a_window=True)
        case _ if not made:
            return
        case "bought" | "cancelled":
            yield Press(PLAIN[what], _act("send"), {"payment": code, "decision": what})
        case "replayed":
            rows = url_for("log.show", payment=code, kind="callback")
            yield Press(N_("To its callbacks, which can be sent again"), rows)
        case "container":
            for how, says in BY_PHONE.items():
                fields = {"payment": code, "how": how.value}
                yield Press(says, _act("callback-by-phone"), fields, is_a_window=True)
        case _:
            fault = {"another_word": "another"}.get(what, what)
            fields = {"payment": code, "decision": "bought", "fault": fault}
            yield Press(N_("Send: %(what)s"), _act("send"), fields, {"what": FAULTS[fault]})


def _weather(words: str) -> Press:
    found = WEATHER.fullmatch(words)
    assert found, words
    names = ("kind", "seconds", "next", "api")
    fields = {name: value for name, value in zip(names, found.groups(), strict=True) if value}
    says = KINDS[fields["kind"]].says
    return Press(N_("Set this weather: %(kind)s"), url_for("actions.set_weather"), fields, {"kind": says})


def _act(action: str) -> str:
    return url_for("actions.act", action=action)
