"""The people of the sandbox. Pure facts about them; what they own is in the store."""

from dataclasses import dataclass
from typing import NamedTuple

from storefront.sandbox.devices import Carrier


class Text(NamedTuple):
    """The same words in both languages; English stands for any other."""

    ja: str
    en: str

    def of(self, language: str) -> str:
        return self.ja if language == "ja" else self.en


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
        Text("ポイントがたっぷりあります。", "Has more points than she needs."),
        Carrier.AU,
        50_000,
    ),
    Persona(
        "taro",
        "mo3w9x4tar0fr",
        Text("太郎", "Taro"),
        Text("100ptの剣をちょうど買えます。", "Has exactly enough for the 100 pt sword."),
        Carrier.DOCOMO,
        100,
    ),
    Persona(
        "yuki",
        "mo3p5d8yuk1fr",
        Text("ゆき", "Yuki"),
        Text("剣を買うには少し足りません。", "Is a little short of the sword."),
        Carrier.SOFTBANK,
        80,
    ),
    Persona(
        "jiro",
        "mo3z2b6j1r0fr",
        Text("次郎", "Jiro"),
        Text(
            "ポイントがなく、携帯電話では手に入れられません。スマートフォンかパソコンならできます。",
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
)
BY_KEY = {persona.key: persona for persona in CAST}
