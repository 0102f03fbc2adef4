"""Installing, trials, collections, debts and hooks, as the store's documents have them."""

from datetime import date
from functools import partial
from typing import Any

import pytest
from lxml import html
from sqlalchemy import select
from werkzeug import Response

from storefront.sandbox.colorme import bills, contracts, shops, store
from storefront.sandbox.colorme.shops import Shop
from tests.sandbox.colorme.conftest import INSTALL, PLANS, REDIRECT, STORE, UNINSTALL, Make, Street, today
from tests.street import Browser, form_to, words

NOTICE = "お客さまはすでにアプリを無料でお試しいただいているため、有料でのご利用となります。"


def test_the_hook_of_a_trial(street: Street) -> None:
    """Signed, with the contract's id, and the trial from midnight to the first paid midnight."""
    street.be("bakery").install("MONTH1")
    told = street.sap.last(INSTALL)
    assert told["account_id"] == street.account
    assert told["application_charge_source_id"] == "MONTH1"
    assert told["recurring_application_charge_id"] == street.contract.id
    assert told["trial_term"] == {"starts_at": 1625929200, "ends_at": 1626793200}
    assert street.bills() == []


@pytest.mark.parametrize(
    ("plan", "name", "due"),
    [
        ("FREE01", "recurring_application_charge_id", []),
        ("ONCE01", "application_charge_id", [("one_time", "collected", 9800, 10780)]),
        ("MONTH1", "recurring_application_charge_id", [("prepaid", "collected", 5129, 5641)]),
        ("BEGIN1", "recurring_application_charge_id", [("prepaid", "collected", 10129, 11141)]),
        ("BOTH01", "recurring_application_charge_id", []),
        ("USED01", "recurring_application_charge_id", []),
    ],
)
def test_each_form(make: Make, plan: str, name: str, due: list[Any]) -> None:
    """Without a trial: what is prepaid is collected at the install, and the hook names the contract so."""
    street = make().be("teahouse")
    street.install(plan)
    told = street.sap.last(INSTALL)
    assert [key for key in told if key.endswith("application_charge_id")] == [name]
    assert "trial_term" not in told
    assert street.bills() == due
    assert street.shop.points == 50_000 - sum(total for *_, total in due)


def test_from_the_trial_to_the_first_collection(street: Street) -> None:
    """Reminders on the 17th and 19th, once each; on the 21st what the document's example takes."""
    street.be("bakery").install("MONTH1")
    street.until("2021-07-20")
    page = html.fromstring(street.browser.get(f"/shops/{street.account}/mail").text)
    days = [str(one.get("datetime"))[:10] for one in page.cssselect("article time")]
    assert days == ["2021-07-19", "2021-07-17"]
    assert street.bills() == []
    street.until("2021-07-21")
    assert street.bills() == [("prepaid", "collected", 4064, 4470)]
    street.until("2021-10-02")
    assert street.bills()[1:] == [("prepaid", "collected", 3000, 3300)] * 2


def test_a_trial_that_was_left_in_time(street: Street) -> None:
    """Nothing is taken; a plan with a monthly fee is charged at once the next time, and the store says so."""
    street.be("bakery").install("MONTH1")
    street.turn(step="day")
    assert NOTICE not in street.browser.get(f"/shops/{street.account}/app").text
    street.uninstall()
    told = street.sap.last(UNINSTALL)
    assert told["reason"] == "by_shop_owner"
    assert told["recurring_application_charge_id"] == street.contract.id
    assert NOTICE in street.browser.get(f"/shops/{street.account}/app").text
    street.install("MONTH1")
    assert "trial_term" not in street.sap.last(INSTALL)
    assert street.bills() == [("prepaid", "collected", 5032, 5535)]


def test_a_plan_without_trial_leaves_it(street: Street) -> None:
    """The free plan first: the trial of another is still to be had, and no window of the first ends it."""
    street.be("bakery").install("FREE01")
    action = f"/shops/{street.account}/uninstall"
    of_the_first = form_to(street.browser.get(f"/shops/{street.account}").text, action)
    street.uninstall()
    assert NOTICE not in street.browser.get(f"/shops/{street.account}/app").text
    street.install("MONTH1")
    assert "trial_term" in street.sap.last(INSTALL)
    street.browser.post(action, of_the_first)
    assert street.sap.told(UNINSTALL) == 1


@pytest.mark.long
@pytest.mark.parametrize(("key", "left"), [("lofts", "installed"), ("shells", "none"), ("paper", "none")])
def test_short_at_the_trials_end(street: Street, key: str, left: str) -> None:
    """A card that works buys what is lacking; one that is declined, or no setting, ends it: by_unpaid."""
    street.be(key).install("MONTH1")
    street.until("2021-07-21")
    page = html.fromstring(street.browser.get(f"/shops/{street.account}").text)
    assert page.cssselect("main")[0].get("data-state") == left
    if left == "none":
        assert street.sap.last(UNINSTALL)["reason"] == "by_unpaid"
        assert street.bills() == [("prepaid", "unpaid", 4064, 4470)]
    else:
        assert street.bills() == [("prepaid", "collected", 4064, 4470)]
        assert street.shop.points == 0


@pytest.mark.long
def test_short_at_a_renewal(make: Make) -> None:
    """3,299 points for 3,300: the renewal ends it, and the balance stays."""
    street = make("2021-05-31", PLANS_WITHOUT_TRIAL).be("oil")
    street.browser.press(f"/shops/{street.account}", f"/shops/{street.account}/points", points="10000")
    street.turn(step="day")
    street.install("MONTH1")
    assert street.bills() == [("prepaid", "collected", 3000, 3300)]
    for _ in range(3):
        street.until(_first_of_next(today(street)))
    assert street.bills()[1:] == [("prepaid", "collected", 3000, 3300)] * 2 + [
        ("prepaid", "collected", 3000, 3300)
    ]
    street.until(_first_of_next(today(street)))
    assert street.bills()[-1] == ("prepaid", "unpaid", 3000, 3300)
    assert street.shop.points == 99
    assert street.sap.last(UNINSTALL)["reason"] == "by_unpaid"


def test_short_at_the_install(street: Street) -> None:
    """Nothing is installed, nothing is taken, and the app hears of nothing."""
    answer = street.be("oil").install("ONCE01", follows=False)
    assert "No points were taken" in street.said(answer)
    assert street.sap.heard == []
    assert street.shop.points == 3299


def test_an_install_that_is_not_confirmed(street: Street) -> None:
    """Any answer but 200 with an address cancels it, and what was taken is given back."""
    street.be("teahouse")
    others = [("{}", status) for status in (201, 204, 302, 400, 500)]
    bare = ("{}", "[]", "no", '{"redirect_url": 1}', "[" * 30_000)
    nowhere = ("/here", "http://[", r"http://app.test/\ud800", r"http://app.test/\n")
    leads = [f'{{"redirect_url": "{address}"}}' for address in nowhere]
    for said in [*others, *((one, 200) for one in (*bare, *leads))]:
        street.sap.answer = partial(answered, *said)
        answer = street.install("ONCE01", follows=False)
        assert (said, "cancelled" in street.said(answer)) == (said, True)
        assert street.shop.points == 50_000
        assert street.bills() == []
    street.sap.answer = None
    street.install("ONCE01")


def answered(said: str, status: int, hook: object) -> Response:
    return Response(said, status, content_type="application/json")


def test_a_shop_is_not_closed_meanwhile(street: Street) -> None:
    """While the app is asked whether it confirms, the shop has an app as much as afterwards."""
    street.be("bakery")
    account, said = street.account, []

    def confirmed(hook: object) -> Response:
        other = Browser(street.app, STORE)
        other.get("/healthz?lang=en")
        other.press(f"/shops/{account}", f"/shops/{account}/close")
        said.append(other.get(f"/shops/{account}").text)
        return answered(f'{{"redirect_url": "{REDIRECT}"}}', 200, hook)

    street.sap.answer = confirmed
    street.install("BOTH01")
    assert ("Uninstall the app first" in said[0], street.shop.closed_at) == (True, None)


@pytest.mark.parametrize(("place", "fields"), [("/calendar", {"step": "month"}), ("/calendar/again", {})])
def test_another_day_comes_meanwhile(street: Street, place: str, fields: dict[str, str]) -> None:
    """An install that had no part in a day's work, since the app was still asked, is none."""
    street.be("teahouse")
    word = street.form_token()

    def confirmed(hook: object) -> Response:
        street.sap.answer = None
        street.browser.post(place, {"form_token": word, **fields})
        return answered(f'{{"redirect_url": "{REDIRECT}"}}', 200, hook)

    street.sap.answer = confirmed
    chosen = {"form_token": word, "plan": "ONCE01"}
    assert street.browser.post(f"/shops/{street.account}/install", chosen).status_code == 303
    assert (street.shop.points, street.bills()) == (50_000, [])
    with street.app.app_context():
        assert not contracts.is_begun(street.account)


def test_one_install_at_a_time(street: Street) -> None:
    """Another plan is chosen by uninstalling and installing again."""
    street.be("bakery")
    token = street.form_token()
    street.install("FREE01")
    answer = street.browser.post(f"/shops/{street.account}/install", {"form_token": token, "plan": "MONTH1"})
    assert "installed here already" in street.said(answer)
    assert street.sap.told(INSTALL) == 1


@pytest.mark.long
def test_a_postpaid_plan_from_the_trial_to_the_payout(make: Make) -> None:
    """Trial to the 20th, period to 9 August, fixed on 1 September, debited on the 30th, paid out."""
    street = make().be("bakery")
    street.install("BOTH01")
    street.until("2021-08-31")
    assert street.bills() == []
    street.until("2021-09-01")
    assert street.bills() == [("postpaid", "open", 1290, 1419)]
    street.until("2021-09-30")
    assert street.bills() == [("postpaid", "collected", 1290, 1419)]
    sales = html.fromstring(street.browser.get("/my/applications/12/state/sales").text)
    (payout,) = sales.cssselect("[data-payout]")
    assert (payout.get("data-payout"), payout.get("data-yen")) == ("2021-10-31", "1419")
    assert "not configured" in payout.text_content()


@pytest.mark.long
def test_a_debt(street: Street) -> None:
    """Unpaid on the due day it is in time until midnight; then uninstalled, owed, and billed to the end."""
    street.be("boats").install("BOTH01")
    street.until("2021-09-30")
    assert street.bills() == [("postpaid", "open", 1290, 1419)]
    assert street.sap.told(UNINSTALL) == 0
    street.until("2021-10-01")
    assert street.bills() == [("postpaid", "owed", 1290, 1419), ("postpaid", "open", 2000, 2200)]
    told = street.sap.last(UNINSTALL)
    assert told["reason"] == "by_unpaid"
    assert "still owed" in street.browser.get(f"/shops/{street.account}/mail").text
    # 10 September to 9 October is in force: billed on 1 November, and usage of it can be told until then.
    assert street.contract.closing_on == date(2021, 10, 31)
    street.until("2021-11-01")
    assert [one[1:3] for one in street.bills()] == [("owed", 1290), ("owed", 2000), ("open", 2000)]
    assert "unpaid" in street.said(press(street, "/close"))
    street.browser.press(f"/shops/{street.account}", f"/shops/{street.account}/points", points="10000")
    with street.app.app_context():
        from_store = [one.code for one in _bills(street)]
    for code in from_store:
        assert "It is paid" in street.said(press(street, f"/bills/{code}"))
    assert street.shop.points == 10_000 - 1419 - 2200 - 2200
    assert "The shop is closed" in street.said(press(street, "/close"))


@pytest.mark.long
def test_the_owner_pays_in_time(street: Street) -> None:
    """From the 1st on the owner may pay; then nothing happens on the due day."""
    street.be("boats").install("BOTH01")
    street.until("2021-09-02")
    (bill,) = _bills(street)
    assert "not enough points" in street.said(press(street, f"/bills/{bill.code}"))
    street.browser.press(f"/shops/{street.account}", f"/shops/{street.account}/points", points="10000")
    assert "It is paid" in street.said(press(street, f"/bills/{bill.code}"))
    street.until("2021-10-01")
    assert street.sap.told(UNINSTALL) == 0


@pytest.mark.long
def test_a_test_shop(street: Street) -> None:
    """Everything is recorded, nothing collected, nothing paid out, and nothing is owed."""
    street.be("test").install("BEGIN1")
    street.until("2021-08-02")
    assert street.buy(street.token()).status_code == 201
    street.until("2021-09-02")
    assert street.bills() == [
        ("prepaid", "test", 9064, 9970),
        ("option", "test", 500, 550),
        ("prepaid", "test", 3000, 3300),
    ]
    assert street.shop.points == 0
    sales = street.browser.get("/my/applications/12/state/sales").text
    assert "data-payout" not in sales
    assert sales.count('data-state="test"') == 3


@pytest.mark.long
def test_an_unheard_uninstall_hook(street: Street) -> None:
    """Sent again every two and a half hours, nineteen times, then a mail; the uninstall stands."""
    street.be("bakery").install("FREE01")
    street.sap.answer = lambda _: Response("no", 500)
    street.uninstall()
    assert street.sap.told(UNINSTALL) == 1
    street.turn(step="hour")
    street.turn(step="hour")
    assert street.sap.told(UNINSTALL) == 1
    street.turn(step="hour")
    assert street.sap.told(UNINSTALL) == 2
    street.until("2021-07-13")
    assert street.sap.told(UNINSTALL) == 20
    bodies = [told for at, told in street.sap.heard if at == UNINSTALL]
    assert all(told == bodies[0] for told in bodies)
    assert "data-letter" in street.browser.get("/my/applications/12/mail").text
    street.until("2021-07-20")
    assert street.sap.told(UNINSTALL) == 20


def test_heard_at_the_third_try(street: Street) -> None:
    """After a 200 it is not sent again."""
    street.be("bakery").install("FREE01")
    street.weather("uninstall.lost", 2)
    street.uninstall()
    street.until("2021-07-12")
    assert street.sap.told(UNINSTALL) == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("what", "told", "refused", "stands"),
    [
        ("lost", 0, 0, False),
        ("twice", 2, 0, True),
        ("late", 1, 0, False),
        ("altered", 0, 1, False),
        ("unheard", 1, 0, False),
    ],
)
def test_weather_over_the_install_hook(
    street: Street, what: str, told: int, refused: int, *, stands: bool
) -> None:
    """What the app hears, and whether the install stands."""
    street.weather(f"install.{what}")
    answer = street.be("bakery").install("FREE01", follows=False)
    assert (street.sap.told(INSTALL), street.sap.refused) == (told, refused)
    assert (answer.headers["Location"] == REDIRECT) is stands


@pytest.mark.long
def test_begin_again(street: Street) -> None:
    """Everything is uninstalled by hook; then there are new shops, on the first day."""
    street.be("bakery").install("FREE01")
    street.until("2021-07-20")
    before = street.account
    street.browser.press("/calendar", "/calendar/again")
    assert street.sap.last(UNINSTALL)["account_id"] == before
    assert street.now() == "2021-07-10T12:00:00+09:00"
    assert street.be("bakery").account != before
    assert street.browser.get(f"/shops/{before}").status_code == 404


def test_the_test_shop_is_known(street: Street) -> None:
    """However often all begins again, the test shop is of its range, by a new account, and nobody else is."""
    with street.app.app_context(), store.transaction() as session:
        for _ in range(150):
            shops.open_all(session)
        every = session.scalars(select(Shop)).all()
    assert all(shop.account.startswith(shops.TEST_RANGE) is shop.is_test for shop in every)
    assert sum(shop.is_test for shop in every) == 151


def test_forward_only(street: Street) -> None:
    """The calendar refuses to go back, or too far."""
    for day in ("2021-07-09", "2021-07-10", "2025-01-01", "no day"):
        token = street.form_token()
        answer = street.browser.post("/calendar", {"form_token": token, "day": day})
        assert "forward only" in street.said(answer)
    assert street.now() == "2021-07-10T12:00:00+09:00"


@pytest.mark.long
@pytest.mark.parametrize(
    ("step", "now"),
    [
        ("hour", "2021-07-10T13:00:00+09:00"),
        ("day", "2021-07-11T12:00:00+09:00"),
        ("first", "2021-08-01T12:00:00+09:00"),
        ("ninth", "2021-08-09T12:00:00+09:00"),
        ("tenth", "2021-08-10T12:00:00+09:00"),
        ("trial", "2021-07-20T12:00:00+09:00"),
        ("month", "2021-07-31T12:00:00+09:00"),
    ],
)
def test_steps(street: Street, step: str, now: str) -> None:
    """Each step goes where its button says."""
    street.be("bakery").install("MONTH1")
    street.turn(step=step)
    assert street.now() == now


def test_the_daily_work(make: Make, tmp_path: Any) -> None:
    """It is run at 23:30 and at 00:30 of each day that is passed; where it fails, the day says so."""
    log = tmp_path / "ran"
    street = make(daily=f"sh -c 'echo ran >> {log}; exit 3'")
    street.until("2021-07-12")
    assert log.read_text().count("ran") == 4
    page = words(street.browser.get("/calendar?lang=en").text)
    assert page.count("daily work ended with 3") == 4


def test_a_used_plan_keeps_its_amounts(street: Street) -> None:
    """An unused plan's price may change, within the bounds; a used one's not, on a trial, too."""
    console = "/my/applications/12"
    action = f"{console}/plans/MONTH1"
    for yen, says in (("99", "from ¥100"), ("1000001", "from ¥100"), ("4000", "are changed")):
        assert says in street.said(street.browser.press(console, action, monthly=yen))
    street.be("test").install("MONTH1")
    token = street.form_token()
    assert action not in street.browser.get(console).text
    answer = street.browser.post(action, {"form_token": token, "monthly": "5000"})
    assert "cannot be changed" in street.said(answer)
    assert street.contract.monthly == 4000


def test_only_what_was_applied_for_is_published(street: Street) -> None:
    """Registered is not published; an application needs a plan, and the store's approval."""
    console = "/my/applications/12"
    fields = {"form_token": street.form_token()}
    answer = street.browser.post(f"{console}/publication", fields)
    assert "at least one plan" in street.said(answer)
    street.browser.post(f"{console}/publication", {**fields, "plan": "USED01"})
    street.be("bakery")
    page = f"/shops/{street.account}/app"
    assert len(html.fromstring(street.browser.get(page).text).cssselect("[data-plan]")) == 6
    street.browser.press(console, f"{console}/publication/approval")
    offers = html.fromstring(street.browser.get(page).text).cssselect("[data-plan]")
    assert [one.get("data-plan") for one in offers] == ["USED01"]
    answer = street.browser.post(f"/shops/{street.account}/install", {**fields, "plan": "MONTH1"})
    assert "not published" in street.said(answer)


@pytest.mark.long
def test_payouts(make: Make) -> None:
    """With a commission: less than the minimum is carried over; the bank takes its fee of the rest."""
    street = make("2021-05-31", commission=20).be("teahouse")
    street.turn(step="day")
    street.install("MONTH1")
    street.until("2021-08-02")
    page = html.fromstring(street.browser.get("/my/applications/12/state/sales?lang=en").text)
    rows = [" ".join(row.text_content().split()) for row in page.cssselect("[data-payout]")]
    # 3,300 less 20% is 2,640, below 3,000; two of them are 5,280, less 264.
    assert ["carried over" in row for row in rows] == [True, False, True]
    assert "¥5,016" in rows[1]
    assert street.account in page.cssselect("[data-bill]")[0].text_content()


def test_the_plan_file_is_read_again(street: Street, tmp_path: Any) -> None:
    """What it says is registered; a plan that was used keeps its amounts, and the console says so."""
    street.be("test").install("MONTH1")
    changed = PLANS.replace("monthly: 3000}", "monthly: 4000}").replace("price: 9800", "price: 9900")
    (tmp_path / "plans.yaml").write_text(changed)
    console = "/my/applications/12"
    assert "used once" in street.said(street.browser.press(console, f"{console}/register"))
    page = street.browser.get(console).text
    assert 'value="9900"' in page
    assert "4,000" not in page


def press(street: Street, action: str) -> Any:
    return street.browser.press(f"/shops/{street.account}", f"/shops/{street.account}{action}")


def _bills(street: Street) -> list[Any]:
    with street.app.app_context():
        return list(reversed(bills.of_shop(street.account)))


def _first_of_next(day: str) -> str:
    year, month = int(day[:4]), int(day[5:7])
    return f"{year + month // 12}-{month % 12 + 1:02}-01"


PLANS_WITHOUT_TRIAL = """
trial_days: 0
plans:
  - {id: MONTH1, form: monthly, name: {ja: 月額, en: Monthly}, monthly: 3000}
"""
