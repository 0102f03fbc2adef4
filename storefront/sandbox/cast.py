"""The people of the sandbox. Pure facts about them; what they own is in the store.

Their stories hold in any shop. How many points that takes is said by a situation, about the price of an item;
on a stage that none has made each has what is usual here.
"""

from dataclasses import dataclass
from typing import NamedTuple

from storefront.languages import said
from storefront.sandbox.devices import Carrier


class Text(NamedTuple):
    """The same words in the languages that the sandbox is written in."""

    ja: str
    en: str

    def of(self, language: str) -> str:
        return said(self._asdict(), language)


@dataclass(frozen=True)
class Persona:
    """A simulated user: who it is, who serves its mobile phone, how many points it starts with.

    The id is the one on the first stage; every other stage makes one of its own, unless they are the same
    person on all: who tests the app is registered with it by this id.
    """

    key: str
    owner_id: str
    name: Text
    story: Text
    carrier: Carrier
    points: int
    is_everywhere: bool = False


CAST = (
    Persona(
        "hanako",
        "mo3k7c2hanak0",
        Text("花子", "Hanako"),
        Text("何を買うにも足りるポイントがあります。", "Has enough points for anything."),
        Carrier.AU,
        50_000,
    ),
    Persona(
        "taro",
        "mo3w9x4tar0fr",
        Text("太郎", "Taro"),
        Text(
            "選んだアイテムの価格とちょうど同じポイントがあります。",
            "Has exactly the points that the chosen item costs.",
        ),
        Carrier.DOCOMO,
        100,
    ),
    Persona(
        "yuki",
        "mo3p5d8yuk1fr",
        Text("ゆき", "Yuki"),
        Text("選んだアイテムには20ポイント足りません。", "Is 20 points short of what is chosen."),
        Carrier.SOFTBANK,
        80,
    ),
    Persona(
        "jiro",
        "mo3z2b6j1r0fr",
        Text("次郎", "Jiro"),
        Text(
            "ポイントがなく、携帯電話では追加できません。スマートフォンかパソコンならできます。",
            "Has no points, and his carrier's phone cannot get any; a smartphone or PC can.",
        ),
        Carrier.WILLCOM,
        0,
    ),
    Persona(
        "mika",
        "mo3q8n1m1kafr",
        Text("美香", "Mika"),
        Text("アプリのテスト係。購入はテスト扱いです。", "Tests the app: her purchases are test purchases."),
        Carrier.DOCOMO,
        0,
        is_everywhere=True,
    ),
    Persona(
        "haru",
        "mo3h6t4harutp",
        Text("はる", "Haru"),
        Text("購入ボタンを二度押します。", "Taps twice on buy."),
        Carrier.SOFTBANK,
        5_000,
    ),
    Persona(
        "ken",
        "mo3k2w8kenwin",
        Text("健", "Ken"),
        Text("決済画面を同時に三つ開きます。", "Opens three payment screens at once."),
        Carrier.DOCOMO,
        5_000,
    ),
    Persona(
        "emi",
        "mo3e5r1emirmv",
        Text("恵美", "Emi"),
        Text("支払ったあとにアプリを削除します。", "Removes the app after paying."),
        Carrier.AU,
        5_000,
    ),
    Persona(
        "sota",
        "mo3s4f4sota14",
        Text("蒼太", "Sota"),
        Text("14歳です。", "Is fourteen."),
        Carrier.DOCOMO,
        50_000,
    ),
)
BY_KEY = {persona.key: persona for persona in CAST}
