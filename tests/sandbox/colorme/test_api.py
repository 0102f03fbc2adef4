"""What the app asks of the store: OAuth, charges, usage, its own removal, and every refusal."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import requests
from werkzeug.test import TestResponse

from storefront.sandbox.colorme import bills
from storefront.sandbox.wirelog import HIDDEN
from tests.sandbox.colorme.conftest import BACK, CLIENT, INSTALL, STORE, UNINSTALL, Make, Street
from tests.wire import Wire


def error(answer: TestResponse) -> tuple[int, int, str]:
    """Status, code and field of a refusal in the envelope."""
    (told,) = answer.get_json()["errors"]
    assert told["status"] == answer.status_code
    return answer.status_code, told["code"], told.get("field", "")


def test_coming_in(street: Street) -> None:
    """A code once, within its time; then a token that says whose shop it is."""
    told = street.be("bakery").code()
    assert told["state"] == "a state"
    answer = street.exchange(told["code"])
    assert set(answer.get_json()) == {"access_token", "token_type", "scope", "created_at"}
    shop = street.call("GET", "/v1/shop.json", answer.get_json()["access_token"]).get_json()["shop"]
    assert shop["id"] == street.account
    again = street.exchange(told["code"])
    assert (again.status_code, again.get_json()["error"]) == (400, "invalid_grant")


def test_an_owner_who_refuses(street: Street) -> None:
    """Back with access_denied and the state, and no code."""
    told = street.be("bakery").code(answer="deny")
    assert told["error"] == "access_denied"
    assert told["state"] == "a state"
    assert "code" not in told


def test_nobody_is_sent_to_a_stranger(street: Street) -> None:
    """Who asks under another name, or would go elsewhere, gets a page of ours."""
    street.be("bakery")
    street.browser.get(f"/shops/{street.account}")
    known = {"client_id": CLIENT, "redirect_uri": BACK, "response_type": "code"}
    for field in ("client_id", "redirect_uri"):
        query = {**known, field: "http://evil.test"}
        answer = street.browser.get("/oauth/authorize", query_string=query)
        assert (field, answer.status_code) == (field, 400)
        assert "Location" not in answer.headers


CODES_REFUSED: list[tuple[dict[str, str], int, str]] = [
    ({"client_secret": "wrong"}, 401, "invalid_client"),
    ({"client_id": "other"}, 401, "invalid_client"),
    ({"code": ""}, 400, "invalid_request"),
    ({"code": "unknown"}, 400, "invalid_grant"),
    ({"redirect_uri": "http://app.test/other"}, 400, "invalid_grant"),
    ({"grant_type": "password"}, 403, ""),
]


def test_codes_refused(street: Street) -> None:
    """As it was measured."""
    street.be("bakery")
    for changed, status, said in CODES_REFUSED:
        answer = street.exchange(**{"code": street.code()["code"], **changed})
        assert (changed, answer.status_code) == (changed, status)
        assert (answer.get_json()["error"] if said else answer.text) == said


def test_an_option(street: Street) -> None:
    """Points are taken at once, with tax; the same one again is another charge; short of points, none."""
    street.be("paper").install("FREE01")
    token = street.token()
    told = street.buy(token)
    assert told.status_code == 201
    charge = told.get_json()["application_charge"]
    assert (charge["point"], charge["make_date"]) == (500, 1625886001)
    assert street.shop.points == 0
    assert error(street.buy(token)) == (422, 422900, "")
    assert street.bills() == [("option", "collected", 500, 550)]


def test_no_card_buys_points_for_an_option(street: Street) -> None:
    """Short is a failure whatever the setting, and nobody is uninstalled for it."""
    street.be("lofts").install("FREE01")
    assert error(street.buy(street.token())) == (422, 422900, "")
    assert street.sap.told(UNINSTALL) == 0


def test_refusals_of_an_option(street: Street) -> None:
    """No token, a wrong one, one without the scope; no such option, nothing of what is needed; no JSON."""
    street.be("bakery").install("FREE01")
    token, path = street.token(), "/appstore/v1/application_charges.json"
    assert error(street.buy("")) == (401, 401010, "")
    assert error(street.buy("another")) == (401, 401010, "")
    assert error(street.buy(street.token("read_products"))) == (401, 401010, "")
    assert error(street.buy(token, "NOSUCH")) == (404, 404100, "")
    assert error(street.buy(token, "MONTH1")) == (404, 404100, "")
    assert error(street.call("POST", path, token, {})) == (422, 422210, "application_charge")
    where = "application_charge.application_charge_source_id"
    assert error(street.call("POST", path, token, {"application_charge": {}})) == (422, 422210, where)
    assert error(street.buy(token, " ")) == (422, 422007, where)
    client = street.app.test_client()
    for unread in ("{", "[" * 100_000):
        broken = client.post(path, data=unread, headers={"Authorization": f"Bearer {token}"}, base_url=STORE)
        assert error(broken) == (500, 500000, "")
        assert "could not be read" in broken.text
    assert error(street.call("GET", path, token)) == (404, 404100, "")
    assert error(street.call("GET", "/appstore/v1/nothing.json", token)) == (404, 404100, "")
    assert street.bills() == []


def test_usage_belongs_to_the_period_of_its_day(make: Make) -> None:
    """The 9th belongs to one period, the 10th to the next, and each is billed with its own."""
    street = make("2021-04-10").be("bakery")
    street.install("USED01")
    token = street.token()
    street.until("2021-05-09")
    assert street.report(token, 1500).status_code == 201
    street.turn(step="hour")
    assert street.report(token, 999).status_code == 201
    street.until("2021-05-10")
    assert street.report(token, 700).status_code == 201
    listed = street.browser.get("/my/applications/12/state/usage_charges").text
    assert listed.count('data-period-first="2021-04-10"') == 2
    assert "data-bill" not in street.browser.get("/my/applications/12/state/sales").text
    street.until("2021-06-01")
    assert street.bills() == [("postpaid", "open", 2499, 2748)]
    street.until("2021-07-01")
    assert street.bills()[1:] == [("postpaid", "open", 700, 770)]


@pytest.mark.long
def test_a_period_without_usage(make: Make) -> None:
    """No usage, no bill."""
    street = make("2021-04-10").be("bakery")
    street.install("USED01")
    street.until("2021-08-01")
    assert street.bills() == []


BOUNDS: list[tuple[Any, str, tuple[int, str] | None]] = [
    (100, "ok", None),
    (1_000_000, "ok", None),
    (99, "ok", (422903, "usage_charge.point")),
    (1_000_001, "ok", (422903, "usage_charge.point")),
    (100.0, "ok", (422903, "usage_charge.point")),
    ("100", "ok", (422903, "usage_charge.point")),
    (True, "ok", (422903, "usage_charge.point")),
    (100, "", (422007, "usage_charge.description")),
    (100, "あ" * 50, None),
    (100, "あ" * 51, (422904, "usage_charge.description")),
    (100, "①", (422905, "usage_charge.description")),
    (100, "～", (422905, "usage_charge.description")),
    (100, "〜ｶ丂", None),
]


def test_bounds_of_usage(street: Street) -> None:
    """From 100 to 1,000,000 for each request; at most fifty characters, of JIS."""
    street.be("teahouse").install("USED01")
    token = street.token()
    for point, text, refused in BOUNDS:
        answer = street.report(token, point, text)
        if refused:
            assert (point, text, error(answer)) == (point, text, (422, *refused))
        else:
            assert (point, text, answer.status_code) == (point, text, 201)


def test_usage_refused(street: Street) -> None:
    """In the trial until its last midnight; on a plan without usage; of somebody else's contract."""
    street.be("bakery").install("BOTH01")
    token = street.token()
    assert error(street.report(token, 100)) == (422, 422901, "")
    street.until("2021-07-20")
    assert error(street.report(token, 100)) == (422, 422901, "")
    street.until("2021-07-21")
    assert street.report(token, 100).status_code == 201
    theirs = street.contract.id
    street.be("teahouse").install("FREE01")
    token = street.token()
    assert error(street.report(token, 100)) == (422, 422902, "")
    assert error(street.report(token, 100, contract=theirs)) == (404, 404100, "")
    assert error(street.report(token, 100, contract="NOSUCH")) == (404, 404100, "")


@pytest.mark.long
def test_usage_after_an_uninstall(make: Make) -> None:
    """With the hook's token until the closing day is over; it belongs to the last contract."""
    street = make("2020-12-20").be("bakery")
    street.install("USED01")
    token = street.token()
    street.until("2021-01-10")
    street.uninstall()
    told = street.sap.last(UNINSTALL)["usage_charge"]
    assert told["closing_on"] == 1614524399  # 2021-02-28 23:59:59 in Japan
    late = {"X-Appstore-Usage-Charge-Token": told["api_token"]}
    assert error(street.report(token, 2000)) == (401, 401010, "")
    closing = street.browser.press(f"/shops/{street.account}", f"/shops/{street.account}/close")
    assert "still to be fixed" in street.said(closing)
    street.until("2021-02-20")
    assert street.report("", 2000, **late).status_code == 201
    street.until("2021-02-28")
    assert street.report("", 100, **late).status_code == 201
    street.until("2021-03-01")
    assert error(street.report("", 100, **late)) == (401, 401010, "")
    assert street.bills() == [("postpaid", "open", 2100, 2310)]
    with street.app.app_context():
        (bill,) = bills.of_shop(street.account)
    assert bill.first == date(2021, 1, 10)


@pytest.mark.long
def test_uninstalled_in_the_trial(street: Street) -> None:
    """No token comes, since nothing may be charged; a plan without usage has neither."""
    street.be("bakery").install("BOTH01")
    street.uninstall()
    assert set(street.sap.last(UNINSTALL)["usage_charge"]) == {"closing_on"}
    street.be("teahouse").install("MONTH1")
    street.uninstall()
    assert "usage_charge" not in street.sap.last(UNINSTALL)


def test_a_one_time_plan_is_uninstalled(street: Street) -> None:
    """The hook carries no contract's id."""
    street.be("bakery").install("ONCE01")
    assert street.sap.last(INSTALL)["application_charge_id"]
    street.uninstall()
    told = street.sap.last(UNINSTALL)
    assert set(told) == {"account_id", "application_charge_source_id", "uninstalled_at", "reason"}


def test_the_app_removes_itself(street: Street) -> None:
    """As if the owner had done it, but told in the answer, and by no hook; tokens are void."""
    street.be("teahouse").install("USED01")
    token = street.token()
    answer = street.call("DELETE", "/appstore/v1/installation.json", token)
    told = answer.get_json()
    assert answer.status_code == 200
    assert told["recurring_application_charge_id"] == street.contract.id
    assert "reason" not in told
    assert set(told["usage_charge"]) == {"api_token", "closing_on"}
    assert street.sap.told(UNINSTALL) == 0
    assert error(street.call("DELETE", "/appstore/v1/installation.json", token)) == (401, 401010, "")
    assert error(street.call("GET", "/v1/shop.json", token)) == (401, 401010, "")


def test_too_many_requests(make: Make) -> None:
    """So many a minute for each token, then 429 with the seconds to wait."""
    street = make(per_minute=3).be("bakery")
    token = street.token()
    answers = [street.call("GET", "/v1/shop.json", token) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0


STRIKES = {
    "before": (500, False),
    "after": (500, True),
    "lost": (None, True),
    "cut": (None, True),
    "rubbish": (200, False),
    "401": (401, False),
    "429": (429, False),
    "slow": (201, True),
}


def test_weather_over_a_charge(street: Street) -> None:
    """What the app hears, and whether it was charged; afterwards everything is as before."""
    street.be("teahouse").install("FREE01")
    token, charged = street.token(), 0
    for what, (status, done) in STRIKES.items():
        street.weather(f"charge.{what}")
        assert (what, heard(street, token)) == (what, status)
        charged += done
        assert (what, len(street.bills())) == (what, charged)
        assert street.buy(token).status_code == 201
        charged += 1


def heard(street: Street, token: str) -> int | None:
    """What comes back over the wire; nothing of an answer that was lost on it."""
    told = {"application_charge": {"application_charge_source_id": "CLOAK1"}}
    headers = {"Authorization": f"Bearer {token}"}
    with requests.Session() as http:
        http.mount("http://", Wire(street.app))
        try:
            return http.post(
                f"{STORE}/appstore/v1/application_charges.json", json=told, headers=headers
            ).status_code
        except requests.ConnectionError:
            return None


@pytest.mark.long
@pytest.mark.parametrize("place", ["oauth", "shop", "usage", "removal"])
def test_weather_everywhere(street: Street, place: str) -> None:
    """It strikes the kind of request it was set for, and no other."""
    street.be("teahouse").install("USED01")
    token, code = street.token(), street.code()["code"]
    street.weather(f"{place}.before")
    asked: dict[str, Callable[[], TestResponse]] = {
        "shop": lambda: street.call("GET", "/v1/shop.json", token),
        "usage": lambda: street.report(token, 100),
        "oauth": lambda: street.exchange(code),
        "removal": lambda: street.call("DELETE", "/appstore/v1/installation.json", token),
    }
    first = {name: ask().status_code for name, ask in asked.items() if name == place}
    assert first == {place: 500}
    assert all(ask().status_code in (200, 201) for ask in asked.values())


def test_the_log_keeps_no_secret(street: Street) -> None:
    """Neither tokens nor codes nor secrets nor signatures stand in it, however they came."""
    street.be("teahouse").install("USED01")
    token = street.token()
    street.report(token, 100)
    street.uninstall()
    late = street.sap.last(UNINSTALL)["usage_charge"]["api_token"]
    street.report("", 100, **{"X-Appstore-Usage-Charge-Token": late})
    shown = "".join(street.browser.get(f"/log/{number}").text for number in range(1, 6))
    assert shown.count("HTTP") == 0
    assert HIDDEN in shown
    for secret in (token, late, "a secret of the app", "my_webhook_secret"):
        assert secret not in shown


@pytest.mark.long
def test_a_hook_of_the_log_is_sent_again(street: Street) -> None:
    """To the letter, also what the log hides of it; nothing comes of the answer."""
    street.be("teahouse").install("USED01")
    street.uninstall()
    for number in (1, 2):
        street.browser.press(f"/log/{number}", f"/log/{number}")
    bodies = [told for _, told in street.sap.heard]
    assert bodies[:2] == bodies[2:]
    assert street.sap.refused == 0
