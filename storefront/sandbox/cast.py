"""The people of the sandbox. Pure facts about them; what they own is in the store."""

from dataclasses import dataclass
from typing import NamedTuple


class Text(NamedTuple):
    """The same words in both languages."""

    ja: str
    en: str

    def of(self, language: str) -> str:
        return self.en if language == "en" else self.ja


@dataclass(frozen=True)
class Persona:
    """A simulated user: who it is, and how many points it starts with."""

    key: str
    owner_id: str
    name: Text
    story: Text
    device: Text
    points: int


SMARTPHONE = Text("スマートフォン", "Smartphone")
FEATURE_PHONE = Text("携帯電話", "Feature phone")

CAST = (
    Persona(
        "hanako",
        "mo3k7c2hanak0",
        Text("花子", "Hanako"),
        Text("ポイントがたっぷりあります。", "Has more points than she needs."),
        SMARTPHONE,
        50_000,
    ),
    Persona(
        "taro",
        "mo3w9x4tar0fr",
        Text("太郎", "Taro"),
        Text("100ptの剣をちょうど買えます。", "Has exactly enough for the 100 pt sword."),
        FEATURE_PHONE,
        100,
    ),
    Persona(
        "yuki",
        "mo3p5d8yuk1fr",
        Text("ゆき", "Yuki"),
        Text("剣を買うには少し足りません。", "Is a little short of the sword."),
        SMARTPHONE,
        80,
    ),
    Persona(
        "jiro",
        "mo3z2b6j1r0fr",
        Text("次郎", "Jiro"),
        Text("ポイントを持っていません。", "Has no points at all."),
        FEATURE_PHONE,
        0,
    ),
    Persona(
        "mika",
        "mo3q8n1m1kafr",
        Text("美香", "Mika"),
        Text("アプリのテスト係。購入はテスト扱いです。", "Tests the app: her purchases are test purchases."),
        SMARTPHONE,
        0,
    ),
)
BY_OWNER = {persona.owner_id: persona for persona in CAST}
BY_KEY = {persona.key: persona for persona in CAST}
