"""The plan file: what it may say, what it offers once it is loaded, and what a used plan keeps."""

import re
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask

from storefront import config
from storefront.cli import main
from storefront.colorme import plan_file, plans
from storefront.colorme.plan_file import PLANS as SHIPPED
from storefront.colorme.plan_file import Form, PlanFileError
from storefront.config import PACKAGE
from storefront.db import transaction
from storefront.shop import catalog_file
from tests.colorme.conftest import PLANS
from tests.databases import on_sqlite
from tests.street import GOODS

PRICES = {"rope": 500, "loaf": 20, "lantern": None, "oar": 99, "boat": 1_000_001}
GOOD = """
trial_days: 10
plans:
  - id: FREE01
    form: free
    name: {ja: 無料, en: Free}
  - id: MONTH1
    form: monthly
    name: {ja: 月, en: Month}
    monthly: 3000
    parcel: [lantern]
  - {id: USAGE1, form: usage, name: {ja: 従量, en: Usage}}
options:
  - {id: ROPE01, item: rope}
metered: [loaf]
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "rule"),
    [
        ("trial_days: 10\n", "", 2, "trial_days: is missing"),
        ("trial_days: 10", "trial_days: 2", 2, "a trial has 3 to 90 days"),
        ("trial_days: 10", "trial_days: 91", 2, "a trial has 3 to 90 days"),
        ("trial_days: 10", "trial_days: ten", 2, "trial_days: must be a whole number"),
        ("id: FREE01", "id: FREE1", 4, "an id is 6 to 32 digits and capital letters"),
        ("id: FREE01", "id: free01", 4, "an id is 6 to 32"),
        ("id: FREE01", "id: MONTH1", 7, "id MONTH1 stands already on line 4"),
        ("id: ROPE01", "id: MONTH1", 14, "id MONTH1 stands already on line 7"),
        ("form: free", "form: gratis", 5, "a form is one of free, one_time, monthly"),
        ("ja: 無料, ", "", 6, "needs 'ja' as well"),
        ("form: free", "form: free\n    monthly: 3000", 6, "a plan of the form free has none"),
        ("form: free", "form: free\n    price: 3", 6, "a plan of the form free has none"),
        ("    monthly: 3000\n", "", 7, "a plan of the form monthly needs monthly"),
        ("monthly: 3000", "monthly: 99", 10, "99 yen is not within 100 to 1,000,000"),
        ("monthly: 3000", "monthly: 1000001", 10, "is not within 100 to 1,000,000"),
        ("monthly: 3000", "monthly: 3000.5", 10, "whole number"),
        ("monthly: 3000", "monthly: 3000\n    initial: 500", 11, "a plan of the form monthly has none"),
        ("monthly: 3000", "price: 3000", 10, "a plan of the form monthly has none"),
        ("parcel: [lantern]", "parcel: lantern", 11, "must be a list"),
        ("parcel: [lantern]", "parcel: [sail]", 11, "the catalogue has no item sail"),
        ("form: free", "form: free\n    parcel: [rope]", 6, "has no monthly part to bring it with"),
        ("parcel", "parzel", 11, "is no field here"),
        ("item: rope", "item: sail", 14, "the catalogue has no item sail"),
        ("item: rope", "item: lantern", 14, "lantern has no price at this counter"),
        ("item: rope", "item: oar", 14, "99 yen is not within 100"),
        ("item: rope", "item: boat", 14, "1,000,001 yen is not within"),
        ("item: rope}", "item: rope}\n  - {id: ROPE02, item: rope}", 15, "option rope stands already on"),
        ("[loaf]", "[loaf, loaf]", 15, "metered item loaf stands already on line 15"),
        ("[loaf]", "[rope]", 15, "rope is an option already"),
        ("[loaf]", "[lantern]", 15, "lantern has no price at this counter"),
        ("metered", "metred", 15, "metred: is no field of a plan file: did you mean metered?"),
        ("- {id: USAGE1", "- just a word\n  - {id: USAGE1", 12, "must be a mapping"),
    ],
)
def test_broken_rules(tmp_path: Path, old: str, new: str, line: int, rule: str) -> None:
    """Each error names the line, the rule and what to do."""
    file = tmp_path / "plans.yaml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(PlanFileError) as error:
        plan_file.read(file, PRICES)
    assert f"{file}:{line}: " in str(error.value)
    assert rule in str(error.value)


def test_every_problem(tmp_path: Path) -> None:
    """All problems are told at once, from the first line to the last."""
    file = tmp_path / "plans.yaml"
    broken = GOOD.replace("trial_days: 10", "trial_days: 1").replace("3000", "99")
    file.write_text(broken.replace("form: usage", "form: x").replace("[loaf]", "[rope]"))
    with pytest.raises(PlanFileError) as error:
        plan_file.read(file, PRICES)
    assert [int(line.split(":")[1]) for line in str(error.value).splitlines()] == [2, 10, 12, 15]


@pytest.mark.parametrize("content", ["", "[]", "- a", "a", "plans: [", "\0"])
def test_no_plan_file_at_all(tmp_path: Path, content: str) -> None:
    """A file that is no mapping is said to be none, with a line."""
    file = tmp_path / "plans.yaml"
    file.write_text(content)
    with pytest.raises(PlanFileError, match=r"plans\.yaml:1: "):
        plan_file.read(file, PRICES)


def test_needs_a_plan(tmp_path: Path) -> None:
    """A free app has its free plan, so there is always one."""
    file = tmp_path / "plans.yaml"
    file.write_text("trial_days: 0\nplans: []\n")
    with pytest.raises(PlanFileError, match="2: plans: needs at least one"):
        plan_file.read(file, PRICES)


def test_the_shipped_ones() -> None:
    """What comes with the shop fits the shipped catalogue."""
    entries = catalog_file.read(PACKAGE / "shop" / "catalog.yaml", {})
    assert plan_file.read(SHIPPED, {entry.id: entry.prices.get("colorme") for entry in entries}).plans


def test_the_tests_own() -> None:
    """They have a plan of every form, and sell all that has a price here."""
    entries = catalog_file.read(GOODS, {})
    found = plan_file.read(PLANS, {entry.id: entry.prices.get("colorme") for entry in entries})
    assert {plan.form for plan in found.plans.values()} == set(Form)
    sold = {option.item for option in found.options.values()} | found.metered
    assert sold == {entry.id for entry in entries if "colorme" in entry.prices}


def test_forms() -> None:
    """Trial, timing and amounts of the six forms, as the table of plan billing has them."""
    assert [form for form in Form if form.prepaid] == [Form.ONE_TIME, Form.MONTHLY, Form.MONTHLY_INITIAL]
    monthly = [Form.MONTHLY, Form.MONTHLY_INITIAL, Form.MONTHLY_USAGE]
    assert [form for form in Form if form.has_trial] == monthly
    assert [form for form in Form if form.has_usage] == [Form.MONTHLY_USAGE, Form.USAGE]


@on_sqlite
def test_loaded(app: Flask) -> None:
    """What was loaded is what is offered, to the last field."""
    with app.app_context():
        with transaction() as session:
            loaded = plans.load(session, PLANS)
        assert plans.current() == loaded


@on_sqlite
def test_a_used_plan_keeps_its_amounts(app: Flask, tmp_path: Path) -> None:
    """Once a shop has used it, other amounts are refused with plan and first use, and nothing is loaded."""
    changed = tmp_path / "plans.yaml"
    changed.write_text(PLANS.read_text().replace("monthly: 3000, parcel", "monthly: 3001, parcel"))
    with app.app_context():
        before = plans.current()
        with transaction() as session:
            assert plans.take(session, "LANTERN1", "PA00000009", date(2021, 7, 10))
            assert plans.take(session, "LANTERN1", "PA00000001", date(2021, 7, 11))
            assert plans.take(session, "COAT01", "PA00000001", date(2021, 7, 11)) is None
        with pytest.raises(PlanFileError) as error, transaction() as session:
            plans.load(session, changed)
        assert "LANTERN1 keeps form monthly and monthly 3000" in str(error.value)
        assert "PA00000009 was the first to use it, on 2021-07-10" in str(error.value)
        assert f"{changed}:{before_line(changed)}: " in str(error.value)
        assert plans.current() == before


@on_sqlite
def test_an_option_is_no_used_plan(app: Flask, tmp_path: Path) -> None:
    """What is charged at once under the id of a plan that was taken out would be that plan at the store."""
    changed = tmp_path / "plans.yaml"
    said = PLANS.read_text().replace("- {id: QUAY01", "# {id: QUAY01").replace("CLOAK01", "QUAY01")
    changed.write_text(said)
    with app.app_context(), transaction() as session:
        plans.load(session, changed)
        plans.load(session, PLANS)
        assert plans.take(session, "QUAY01", "PA00000009", date(2021, 7, 10))
        with pytest.raises(
            PlanFileError, match=f"{changed}:\\d+: QUAY01 was a plan that PA00000009 has used"
        ):
            plans.load(session, changed)


@on_sqlite
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("monthly: 2000", "monthly: 2001"),
        ("name: {ja: ランタン", "name: {ja: 灯"),
        ("trial_days: 10", "trial_days: 30"),
        ("  - {id: LANTERN1", "  # {id: LANTERN1"),
    ],
)
def test_what_may_change(app: Flask, tmp_path: Path, old: str, new: str) -> None:
    """An unused plan's amounts, and of a used one its name, the trial, and that it is offered at all."""
    changed = tmp_path / "plans.yaml"
    assert old in PLANS.read_text()
    changed.write_text(PLANS.read_text().replace(old, new, 1))
    with app.app_context(), transaction() as session:
        plans.take(session, "LANTERN1", "PA00000001", date(2021, 7, 10))
        plans.load(session, changed)


@on_sqlite
def test_the_command(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--check` needs no settings, and says with its line what is wrong."""
    monkeypatch.setenv("STOREFRONT_CATALOG", str(GOODS))
    monkeypatch.setenv("STOREFRONT_COLORME_PLANS", str(PLANS))
    good = CliRunner().invoke(main, ["plans", "--check"])
    assert (good.exit_code, good.output) == (0, "plans: 6, options: 2, metered items: 2, no problem.\n")
    broken = tmp_path / "plans.yaml"
    broken.write_text(PLANS.read_text().replace("item: coat", "item: ticket"))
    told = CliRunner().invoke(main, ["plans", "--check", str(broken)])
    assert told.exit_code == 1
    assert "ticket has no price at this counter" in told.output


def test_what_a_catalogue_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`storefront catalog --check` names, with its line, what plans bring and the catalogue has not."""
    monkeypatch.setenv("STOREFRONT_COLORME_PLANS", str(PLANS))
    monkeypatch.setattr(config, "folder", lambda name: tmp_path)
    (tmp_path / "art").mkdir()
    goods = tmp_path / "goods.yaml"
    goods.write_text(GOODS.read_text().replace("id: lantern", "id: lamp"))
    for name in re.findall(r"art: (\S+)", goods.read_text()):
        (tmp_path / "art" / name).touch()
    told = CliRunner().invoke(main, ["catalog", "--check", str(goods)])
    assert told.exit_code == 0, told.output
    assert f"{PLANS}:{before_line(PLANS)}: plans.2.parcel.0: the catalogue has no item lantern" in told.output


def before_line(path: Path) -> int:
    lines = path.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if "LANTERN1" in line)
