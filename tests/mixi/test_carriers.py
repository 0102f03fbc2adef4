"""Which carrier a phone belongs to, as its User-Agent says, and what its owner reads beside the button."""

from urllib.parse import urlencode

import pytest

from storefront.mixi.carriers import Carrier, carrier
from tests.street import HANAKO, Container, buy_button, claims, says, sign

D, A, S = Carrier.DOCOMO, Carrier.AU, Carrier.SOFTBANK
W, E, OTHER = Carrier.WILLCOM, Carrier.EMOBILE, Carrier.OTHER

PHONES = [
    (D, "DoCoMo/1.0/N504i/c10/TB"),
    (D, "DoCoMo/1.0/SO506iC/c20/TB/W20H10"),
    (D, "DoCoMo/2.0 N900i(c100;TB;W24H12)"),
    (D, "DoCoMo/2.0 P903i(c100;TB;W24H12)"),
    (D, "DoCoMo/2.0 P07A3(c500;TB;W24H15)"),
    (D, "DoCoMo/2.0 N905i(c100;TB;W24H16) (compatible; Googlebot-Mobile/2.1)"),
    (A, "KDDI-SA31 UP.Browser/6.2.0.7.3.129 (GUI) MMP/2.0"),
    (A, "KDDI-SH38 UP.Browser/6.2_7.2.7.1.K.4.171 (GUI) MMP/2.0"),
    (A, "UP.Browser/3.04-KCTA UP.Link/3.4.5.9"),
    (S, "SoftBank/1.0/940SH/SHJ001 Browser/NetFront/3.5 Profile/MIDP-2.0 Configuration/CLDC-1.1"),
    (S, "Semulator/1.0/912SH/SHJ001 Browser/NetFront/3.3"),
    (S, "Vodafone/1.0/V904SH/SHJ001 Browser/VF-NetFront/3.3 Profile/MIDP-2.0 Configuration/CLDC-1.1"),
    (S, "Vodafone/1.0/V903SH/SHJ001 Browser/UP.Browser/7.0.2.1 Profile/MIDP-2.0 Configuration/CLDC-1.1"),
    (S, "Vemulator/1.0/V902SH/SHJ001"),
    (S, "J-PHONE/4.3/V603SH SH/0007aa Profile/MIDP-1.0 Configuration/CLDC-1.0"),
    (S, "J-PHONE/2.0/J-SH03"),
    (S, "J-EMULATOR/4.3/V602SH SH/0006aa"),
    (S, "MOT-V980/80.2F.2E. MIB/2.2.1 Profile/MIDP-2.0 Configuration/CLDC-1.1"),
    (S, "MOTEMULATOR/80.2F.2E. MIB/2.2.1"),
    (W, "Mozilla/3.0(WILLCOM;KYOCERA/WX340K/2;3.0.3.11.000000/1/C256) Opera 7.2 EX"),
    (W, "Mozilla/3.0(WILLCOM;SANYO/WX310SA/2;1/1/C128) NetFront/3.3,3.4"),
    (W, "Mozilla/3.0(DDIPOCKET;JRC/AH-J3001V,AH-J3002V/1.0/0100/c50)CNF/2.0"),
    (W, "Mozilla/4.0 (compatible; MSIE 6.0; KYOCERA/WX310K/2; WILLCOM; UP.Browser/6.2)"),
    (E, "emobile/1.0.0 (H11T; like Gecko; Wireless) NetFront/3.4"),
    (E, "emobile/1.0.0 (S21HT; like Gecko; Wireless) NetFront/3.4"),
    (E, "Huawei/1.0/H12HW/B000 Browser/Opera-Mini/9.80"),
    (E, "IAC/1.0 (H31IA; like Gecko; OpenBrowser) NetFront/3.4"),
    (OTHER, "Mozilla/5.0 (iPhone; CPU iPhone OS 5_0 like Mac OS X) AppleWebKit/534.46 Mobile/9A334"),
    (OTHER, "Mozilla/5.0 (Linux; U; Android 2.3.5; ja-jp; SC-02C Build/GINGERBREAD) AppleWebKit/533.1"),
    (OTHER, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36"),
    (OTHER, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (OTHER, "Opera/9.80 (J2ME/MIDP; Opera Mini/9.80) Presto/2.12"),
    (OTHER, ""),
    (OTHER, " "),
    (OTHER, "-"),
    (OTHER, "not a DoCoMo/2.0"),
    (OTHER, "<script>alert(1)</script>"),
    (OTHER, "\xff\xfe" * 2000),
]
ONE_EACH = {whose: user_agent for whose, user_agent in PHONES if user_agent.isascii() and user_agent.strip()}


@pytest.mark.parametrize(("whose", "user_agent"), PHONES)
def test_carriers(whose: Carrier, user_agent: str) -> None:
    """A phone is known by what its carrier had it say; anything else is some phone."""
    assert carrier(user_agent) is whose


@pytest.mark.parametrize("whose", Carrier)
def test_who_sells_points(whose: Carrier) -> None:
    """Points are sold by every carrier but WILLCOM and EMOBILE; who we do not know counts as selling."""
    assert whose.sells_points is (whose not in (W, E))


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("whose", Carrier)
def test_advice_beside_the_button(container: Container, language: str, whose: Carrier) -> None:
    """Who is short of points can add some, except where the carrier sells none."""
    target = f"/items/loaf?{urlencode({'lang': language, **claims(HANAKO)})}"
    headers = sign("GET", target) | {"User-Agent": ONE_EACH[whose]}
    page = container.app.test_client().get(target, headers=headers).text
    advice = "points-to-add" if whose.sells_points else "no-points-of-carrier"
    assert says(page) & {"points-to-add", "no-points-of-carrier"} == {advice}
    assert "10pt" in buy_button(page)


@pytest.mark.parametrize("user_agent", [None, "", "\xff\xfe", "x" * 8000, "<b>WILLCOM</b>"])
def test_whatever_a_phone_calls_itself(container: Container, user_agent: str | None) -> None:
    """The page opens, and nothing of the name is on it."""
    target = f"/items/loaf?{urlencode(claims(HANAKO))}"
    named = {} if user_agent is None else {"User-Agent": user_agent}
    answer = container.app.test_client().get(target, headers=sign("GET", target) | named)
    assert answer.status_code == 200
    assert buy_button(answer.text)
    assert not user_agent or user_agent not in answer.text
