"""The operator's forms: how facts and reports are written down, and where it is said what is wrong with them.

A field knows how its value is written and how long it may be. What can be true is known to `facts` and
`malfunctions`, and the fields are marked with what those say.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar
from zlib import crc32

from flask_babel import gettext as _
from pydantic import ValidationError
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, Field, FieldList, Form, FormField, SelectField
from wtforms.widgets import DateInput, DateTimeLocalInput, EmailInput, NumberInput, TextArea, TextInput

from storefront.clock import JAPAN
from storefront.external.channel import origin
from storefront.external.malfunctions import Harm, Progress
from storefront.external.registration import ChangeKind, Effect, Way
from storefront.external.wording import ALL

NAME = re.compile(r"[a-z_]+(-([0-9]{1,3}|[a-z_]+))*")  # such as changes-0-sheet-requested_on
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
PRICE = re.compile(r"([0-9A-Za-z]{1,64})[\s:=,]+¥?([0-9][0-9,]{0,8})")
PRICES_LONGEST = 40_000  # characters; a line for each of more than a thousand items

Told = TypeVar("Told")


class Text(Field):
    """A value in writing. What cannot be read is called `wrong`, stands as it was typed, and has no data."""

    widget: Any = TextInput()
    wrong = ""

    def __init__(self, longest: int = 1000, **more: Any) -> None:
        super().__init__(**more)
        self.longest = longest  # in characters

    def process_formdata(self, valuelist: list[str]) -> None:
        typed, self.data = valuelist[0].strip() if valuelist else "", None
        if len(typed) > self.longest:
            raise ValueError("long")
        try:
            self.data = self.read(typed) if typed else None
        except ValueError:
            raise ValueError(self.wrong) from None

    def read(self, typed: str) -> Any:
        return typed

    def write(self, value: Any) -> str:
        return str(value)

    @property
    def text(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0]).strip()
        return "" if self.data is None else self.write(self.data)

    @property
    def says(self) -> bool:
        return bool(self.text)

    def _value(self) -> str:
        return self.text


class Mail(Text):
    widget = EmailInput()


class Number(Text):
    widget, wrong = NumberInput(), "number"

    def read(self, typed: str) -> int:
        return int(typed)


class Day(Text):
    widget, wrong = DateInput(), "day"

    def read(self, typed: str) -> date:
        if not DAY.fullmatch(typed):
            raise ValueError
        return date.fromisoformat(typed)


class Moment(Text):
    """A moment in Japan's time."""

    widget, wrong = DateTimeLocalInput(), "moment"

    def read(self, typed: str) -> datetime:
        moment = datetime.fromisoformat(typed)
        return moment if moment.tzinfo else moment.replace(tzinfo=JAPAN)

    def write(self, value: datetime) -> str:
        return value.astimezone(JAPAN).strftime("%Y-%m-%dT%H:%M")


class Site(Text):
    """Scheme, host and port of an address."""

    wrong = "site"

    def read(self, typed: str) -> str:
        if not origin(typed):
            raise ValueError
        return origin(typed)


class Lines(Text):
    widget = TextArea()

    def __init__(self, longest: int, **more: Any) -> None:
        super().__init__(longest, render_kw={"rows": 3}, **more)


class Prices(Lines):
    """The yen of each item, a line each, and no item twice."""

    wrong = "prices"

    def read(self, typed: str) -> Mapping[str, int]:
        lines = [line.strip() for line in typed.splitlines() if line.strip()]
        found = [match for line in lines if (match := PRICE.fullmatch(line))]
        prices = {match[1]: int(match[2].replace(",", "")) for match in found}
        if len(prices) < len(lines):
            raise ValueError
        return prices

    def write(self, value: Mapping[str, int]) -> str:
        return "\n".join(f"{item} {yen}" for item, yen in value.items())


class Tick(BooleanField):
    @property
    def text(self) -> str:
        return str(_("yes") if self.data else _("no"))

    @property
    def says(self) -> bool:
        return bool(self.data)


class Choice(SelectField):
    """One of a few words; it is always made, and so says nothing by itself."""

    says = False

    def __init__(self, kind: type[StrEnum], **more: Any) -> None:
        super().__init__(choices=lambda: self.words, validate_choice=False, **more)
        self.kind = kind

    def process_formdata(self, valuelist: list[str]) -> None:
        super().process_formdata([chosen for chosen in valuelist if chosen.strip()])

    @property
    def text(self) -> str:
        return self.words.get(self.data) or next(iter(self.words.values()))  # as a browser shows it

    @property
    def words(self) -> dict[str, str]:
        return {each.value: str(ALL[each]) for each in self.kind}


class Part(Form):
    """A form, or a part of one."""

    @property
    def data(self) -> dict[str, Any]:
        """What it says; what is left empty is left out."""
        return {name: field.data for name, field in self._fields.items() if field.data is not None}

    @property
    def says(self) -> bool:
        return any(field.says for field in self.leaves)

    @property
    def errors(self) -> dict[str, Any]:
        """What is wrong, by the name of the field."""
        return {field.name: field.errors for field in self.leaves if field.errors}

    @property
    def leaves(self) -> Iterator[Any]:
        """Every field that has no parts."""
        for field in self:
            yield from getattr(field, "leaves", [field])

    def grow(self, counts: Any) -> None:
        """Have the rows that these have, so that what counts can be shown beside each field."""
        for name, field in self._fields.items():
            if isinstance(field, Rows | FormField):
                field.grow(counts[name])  # type: ignore[call-arg]  # its types take a form's own for a field

    def told(self, believed: Callable[[dict[str, Any]], Told]) -> Told | None:
        """What it says, if that can be believed; else nothing, and the fields are marked."""
        understood = self.validate()
        try:
            told = believed(self.data)
        except ValidationError as error:
            for each in error.errors(include_url=False, include_input=False):
                field: Any = self
                for part in each["loc"]:
                    field = field[part]
                field.errors = [*field.errors, each["type"]]
            return None
        return told if understood else None


class Rows(FieldList):  # type: ignore[type-arg]  # generic in its types alone
    """Rows of one form: those that say nothing close up, and a last one is there to be filled in."""

    def __init__(self, row: type[Part], **more: Any) -> None:
        super().__init__(FormField(row), **more)

    def process(self, *given: Any, **more: Any) -> None:
        super().process(*given, **more)
        for number in reversed(range(len(self))):
            if not self.forms[number].says:
                self.pop_entry(number)  # type: ignore[call-arg]  # the types are those of 3.2
        self.append_entry()

    @property
    def forms(self) -> list[Any]:
        return [row.form for row in self]

    @property
    def data(self) -> list[dict[str, Any]]:
        return [row.data for row in self.forms[:-1]]

    @property
    def leaves(self) -> Iterator[Any]:
        for row in self.forms:
            yield from row.leaves

    def grow(self, counts: "Rows") -> None:
        for number, row in enumerate(counts.forms):
            if number == len(self):
                self.append_entry()
            self.forms[number].grow(row)


class Paper(Part):
    sent_on, signed, received_on = Day(), Tick(), Day()


class CheckSheet(Part):
    requested_on, deadline, submitted_on = Day(), Day(), Day()


class Certificate(Part):
    number, since, until = Text(), Day(), Day()


class Service(Part):
    name, listed = Text(), Tick()


class Provider(Part):
    name, site, listed = Text(), Site(), Tick()
    services = Rows(Service)
    privacy_mark, isms = FormField(Certificate), FormField(Certificate)


class Change(Part):
    what = Text()
    kind, effect, way = Choice(ChangeKind), Choice(Effect), Choice(Way)
    provider, service, prices = Text(), Text(), Prices(PRICES_LONGEST)
    form, sheet = FormField(Paper), FormField(CheckSheet)
    approved_on = Day()


class RegistrationForm(Part):
    """The fields are those of `registration.Facts`, and so are those of its parts."""

    launched_on, stopped_on, content_changed_on = Day(), Day(), Day()
    stable, registered_before, contact_differs, facts_changed = Tick(), Tick(), Tick(), Tick()
    prices, prices_taken_on = Prices(PRICES_LONGEST), Day()
    registration, application, copy = FormField(Paper), FormField(Paper), FormField(Paper)
    sheet = FormField(CheckSheet)
    providers, changes = Rows(Provider), Rows(Change)


class MalfunctionForm(Part):
    """The fields are those of `malfunctions.Malfunction`."""

    contact_name, contact_mail = Text(200), Mail(200)
    app_id, app_name = Text(200), Text(200)
    progress, harm = Choice(Progress), Choice(Harm)
    description, inquiries = Lines(4000), Number()
    occurred_at, discovered_at, handled_at, recovered_at = Moment(), Moment(), Moment(), Moment()


def sent(fields: MultiDict[str, str]) -> MultiDict[str, str]:
    """Those with names like ours: WTForms trips over a row with the number ² or one of 5,000 digits."""
    return MultiDict((name, value) for name, value in fields.items(multi=True) if NAME.fullmatch(name))


def mark(form: type[Part]) -> str:
    """By which fields a form is known: a page that was opened before an upgrade may have others."""
    return f"{crc32(' '.join(field.name for field in form().leaves).encode()):08x}"
