"""The registration of a demo: as a shop has it that mixi let open its door out a while ago."""

from collections.abc import Mapping
from datetime import date, timedelta

from storefront import clock
from storefront.external import facts, shelf
from storefront.external.channel import channel
from storefront.external.registration import Certificate, Facts, Paper, Provider, Service, Sheet


def open_door() -> None:
    """Give the running shop a registration, unless it has one."""
    if facts.current() == Facts():
        now = clock.now()
        facts.record(registration(clock.day(now), channel().site, shelf.prices()), now, facts.number())


def registration(today: date, site: str, prices: Mapping[str, int]) -> Facts:
    """What was recorded until today; the provider is the sandbox's, the prices in yen are the shelf's.

    The papers do not name the last item of several: what is not approved is to be seen, too.
    """
    named = dict([*prices.items()][: len(prices) - 1 or 1])
    sent, received = today - timedelta(days=40), today - timedelta(days=35)
    provider = Provider(
        name="港まちペイ",
        site=site,
        services=(Service("クレジットカード（シミュレーション）", listed=True),),
        privacy_mark=Certificate("00000000（シミュレーション）"),
        listed=True,
    )
    return Facts(
        launched_on=today - timedelta(days=90),
        stable=True,
        registration=Paper(sent_on=sent, signed=True, received_on=received),
        providers=(provider,),
        sheet=Sheet(
            requested_on=received,
            deadline=received + timedelta(days=14),
            submitted_on=received + timedelta(days=7),
        ),
        prices=named,
    )
