"""Reports for the accounts: what came in, by day, item, counter and device, and at a month's end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TextIO

from storefront.db import fresh
from storefront.languages import said
from storefront.shop import catalog, csv_file, sums
from storefront.shop.day_sums import ONE_DAY, OURS, PLATFORMS, begin
from storefront.shop.sums import Part, Sum

LONGEST = 10 * 366  # days of one report
COLUMNS = {Part.ITEM: ("item", "name")}  # where it is not one of the same name
HEADING = ("counter", "kind", "entries", "amount", "unit")


@dataclass(frozen=True)
class Question:
    """From the first day to the last, both of them Japan's; told apart by what; by whose moments."""

    first: date
    last: date
    by: Sequence[Part]
    by_platform: bool = False

    @classmethod
    def read(cls, asked: Mapping[str, str], today: date) -> "Question":
        """What an address asks for. What it does not say, or says wrongly, is this month so far."""
        last = _day(asked.get("until", ""), today)
        first = min(_day(asked.get("from", ""), last.replace(day=1)), last)
        by = [one for one in Part if one.value in asked]
        return cls(max(first, last - timedelta(days=LONGEST)), last, by, "platform" in asked)

    @property
    def since(self) -> datetime:
        return begin(self.first)

    @property
    def until(self) -> datetime:
        return begin(self.last + ONE_DAY)

    @property
    def asks(self) -> Mapping[str, str]:
        """The same as an address has it."""
        by = {one.value: "y" for one in self.by} | ({"platform": "y"} if self.by_platform else {})
        return {"from": str(self.first), "until": str(self.last), **by}


def last_month(today: date) -> Question:
    """The month that is over, by the platform's own moments."""
    last = today.replace(day=1) - timedelta(days=1)
    return Question(last.replace(day=1), last, [], by_platform=True)


def answer(question: Question, today: date) -> Sequence[Sum]:
    calendar = PLATFORMS if question.by_platform else OURS
    return sums.of(question.by, question.first, question.last, today, calendar)


def write(out: TextIO, question: Question, today: date, language: str) -> None:
    """As comma-separated values, with items by id and name."""
    found, names = (
        answer(question, today),
        {item.id: said(item.names, language) for item in catalog.everything()},
    )
    fresh()  # whoever reads on and pauses holds nothing in the database
    parts = [
        name for one in question.by for name in ((one.value, "name") if one is Part.ITEM else (one.value,))
    ]
    csv_file.write(out, (*parts, *HEADING), (_row(one, names) for one in found))


def _row(one: Sum, names: Mapping[str, str]) -> Sequence[object]:
    total = one.total
    sold = (total.channel, total.kind.value, total.count, total.amount, total.unit)
    return (*_texts(one, names), *sold)


def _texts(one: Sum, names: Mapping[str, str]) -> Iterator[str | date]:
    for part, text in one.parts.items():
        yield (date.fromisoformat(text) if part is Part.DAY else text)  # as a spreadsheet may read it
        if part is Part.ITEM:
            yield names.get(text, "")


def _day(text: str, otherwise: date) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return otherwise
    return day if date(2000, 1, 1) <= day <= date(9000, 1, 1) else otherwise
