"""What the town knows of holdings: each change once, whatever the shop or the line does meanwhile."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from werkzeug import Response

from storefront.sandbox.game import holdings
from tests.sandbox.conftest import owner
from tests.sandbox.game.conftest import Town
from tests.street import at_once

pytestmark = pytest.mark.long


def read_on(town: Town) -> str:
    with town.app.app_context():
        return holdings.read_on(town.app.extensions["game"])


def known(town: Town, item: str = "loaf") -> int:
    with town.app.app_context():
        mine = holdings.things("mixi", owner("hanako"))
    return next((one.quantity for one in mine if one.item == item), 0)


def test_page_by_page(make_town: Callable[..., Town], give: Callable[..., None]) -> None:
    """A game that was down for long catches up, so many changes at once, and counts each once."""
    town = make_town(changes_at_once=2, pages_at_once=2)
    give("loaf", 7)
    for _ in range(3):
        assert read_on(town) == ""
    assert known(town) == 7
    give("loaf", 2)
    read_on(town)
    assert known(town) == 9


def test_two_who_read_at_once(make_town: Callable[..., Town], give: Callable[..., None]) -> None:
    """Of two who hear of the same changes one takes them in."""
    town = make_town(changes_at_once=3)
    give("loaf", 12)
    at_once(*[lambda: read_on(town)] * 6)
    read_on(town)
    assert known(town) == 12


def test_until_all_is_read_the_shop_says_it(
    make_town: Callable[..., Town], give: Callable[..., None]
) -> None:
    """A town that has not read to the end asks what its person holds, and shows that."""
    town = make_town(changes_at_once=1, pages_at_once=1).enter()
    give("loaf", 3)
    give("lantern")
    assert town.things() == {"lantern": 1, "loaf": 3}
    assert known(town) == 0
    assert any("/holdings" in one.path for one in town.line.heard)
    for _ in range(4):
        read_on(town)
    asked = len(town.line.heard)
    assert town.things() == {"lantern": 1, "loaf": 3}
    assert len(town.line.heard) == asked + 1


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ("", 503, "silent"),
        ("", 429, "silent"),
        ("no json", 200, "nonsense"),
        ('{"changes": [{}], "cursor": "1.00000000", "more": false}', 200, "nonsense"),
        ("[" * 100_000, 200, "nonsense"),
        ("x" * 3_000_000, 200, "silent"),
        ("", 401, "token"),
        ("", 404, "closed"),
        ("", 403, "refused"),
        ("", 302, "refused"),
    ],
)
def test_trouble(town: Town, give: Callable[..., None], body: str, status: int, word: str) -> None:
    """The town says what is wrong, keeps what it knew, and goes on where it was."""
    give("loaf", 2)
    assert town.things() == {"loaf": 2}
    town.line.says(body, status)
    page = town.look()
    assert town.trouble(page) == word
    assert page.cssselect(".note[role=status]")
    assert town.things(page) == {"loaf": 2}
    town.line.script = None
    give("loaf")
    page = town.look()
    assert (town.trouble(page), town.things(page)) == ("", {"loaf": 3})


def test_nobody_answers(town: Town, give: Callable[..., None]) -> None:
    give("loaf", 2)
    town.look()
    town.wire.broken = ConnectionRefusedError()
    page = town.look()
    assert (town.trouble(page), town.things(page)) == ("silent", {"loaf": 2})


@pytest.mark.parametrize("kind", ["silent", "token"])
def test_trouble_on_purpose(town: Town, give: Callable[..., None], kind: str) -> None:
    """One press away, and over with the next look."""
    give("loaf")
    town.look()
    action = f"{town.here}/faults/{kind}"
    form = next(form for form in town.look().forms if form.action == action)
    town.press(action, {str(name): str(value) for name, value in form.form_values()})
    page = town.look()
    assert (town.trouble(page), town.things(page)) == (kind, {"loaf": 1})
    assert town.trouble() == ""


def test_the_shop_was_restored(town: Town, give: Callable[..., None]) -> None:
    """A cursor that the shop does not know: the town says so, and has read everything anew, once each."""
    give("loaf", 3)
    assert town.use() == "used"
    assert town.things() == {"loaf": 2}
    town.fault("cursor")
    page = town.look()
    assert (town.trouble(page), town.things(page)) == ("cursor-gone", {"loaf": 2})
    (loaf,) = page.cssselect('[data-item="loaf"]')
    assert loaf.get("data-used") == "1"
    assert town.trouble() == ""
    give("loaf")
    assert town.things() == {"loaf": 3}


def test_restored_from_a_backup(town: Town, give: Callable[..., None], tmp_path: Path) -> None:
    """What the shop has forgotten is gone from the town, what it still knows stands, what came since, too."""
    file, backup = tmp_path / "shop.db", tmp_path / "backup.db"
    give("lantern")
    town.look()
    with sqlite3.connect(file) as shop:
        shop.execute("VACUUM INTO ?", (str(backup),))
    give("loaf", 3)
    assert town.things() == {"lantern": 1, "loaf": 3}
    with sqlite3.connect(backup) as before, sqlite3.connect(file) as shop:
        before.backup(shop)
    give("moss", 4)
    page = town.look()
    assert (town.trouble(page), town.things(page)) == ("cursor-gone", {"lantern": 1, "moss": 4})
    assert town.trouble() == ""


def test_restored_and_long(make_town: Callable[..., Town], give: Callable[..., None]) -> None:
    """While it reads anew the town shows what the shop says, and what it knew if the shop says nothing."""
    town = make_town(changes_at_once=2, pages_at_once=2).enter()
    give("loaf", 9)
    for _ in range(4):
        read_on(town)
    town.fault("cursor")
    page = town.look()
    assert (town.trouble(page), town.things(page)) == ("cursor-gone", {"loaf": 9})
    town.line.says("", 503)
    page = town.look()
    assert (town.trouble(page), town.things(page)) == ("silent", {"loaf": 9})
    town.line.script = None
    for _ in range(6):
        read_on(town)
    assert known(town) == 9


def test_a_shop_that_knows_no_cursor_at_all(town: Town) -> None:
    """The town begins anew once in a look, and does not run in a circle."""
    town.line.script = lambda _: Response("", 410)
    asked = len(town.line.heard)
    assert town.trouble() == "cursor-gone"
    assert len(town.line.heard) - asked <= 3
