"""What the store tells by its hooks: verified, then parsed, then believed.

Its key signs nothing but the bodies of hooks, and no browser can have it sign one. A signature has neither
moment nor address in it, so what was captured can be sent again, and elsewhere: no hook does anything
twice, and what one of the two addresses takes the other refuses.
"""

import hmac
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from storefront import strict_json
from storefront.clock import JAPAN, day
from storefront.colorme.client import LATEST, UsageCharge
from storefront.colorme.contracts import Reason
from storefront.colorme.periods import LONGEST_TRIAL, SHORTEST_TRIAL, Period
from storefront.colorme.plan_file import PLAN_ID, Form
from storefront.colorme.settings import ACCOUNT

SIGNATURE = "X-Appstore-Signature"
# One key signs installs and ends, so no body may be taken for both.
OF_AN_END = {"uninstalled_at", "reason", "usage_charge"}
ONE_DAY = timedelta(days=1)


class BadSignature(Exception):
    """Not signed with a secret that we share with the store."""


class Malformed(Exception):
    """Signed, and no hook; says what is wrong, and repeats nothing of it."""


def verify(body: bytes, signatures: Sequence[str], secrets: Collection[str]) -> None:
    """Raise BadSignature unless the one signature is of these very bytes (source: API document)."""
    given = signatures[0].encode("latin-1", "replace") if len(signatures) == 1 else b""
    right = [b64encode(hmac.digest(secret.encode(), body, "sha256")) for secret in secrets]
    if not sum(hmac.compare_digest(given, one) for one in right):  # each is looked at, however early one fits
        raise BadSignature


Id = Annotated[str, Field(pattern=f"^{PLAN_ID.pattern}$")]
Seconds = Annotated[int, Field(ge=0, lt=LATEST)]  # Unix time


class _Told(BaseModel):
    """Fields that we do not know are passed over; one that we know is there, or is not: never null."""

    model_config = ConfigDict(strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _never_null(cls, said: Any) -> Any:
        if isinstance(said, Mapping) and any(said.get(name, "") is None for name in cls.model_fields):
            raise ValueError("null")
        return said


class TrialTerm(_Told):
    """The free days; `ends_at` is when the first paid one begins (read so from the one official sample)."""

    starts_at: Seconds
    ends_at: Seconds

    @model_validator(mode="after")
    def _whole_days(self) -> Self:
        first, end = (datetime.fromtimestamp(at, JAPAN) for at in (self.starts_at, self.ends_at))
        if {first.time(), end.time()} != {time()}:
            raise ValueError("not whole days in Japan")
        if not SHORTEST_TRIAL <= (end.date() - first.date()).days <= LONGEST_TRIAL:
            raise ValueError("not 3 to 90 days")
        return self

    @property
    def days(self) -> Period:
        return Period(_day(self.starts_at), _day(self.ends_at) - ONE_DAY)


class _Hook(_Told):
    account_id: Annotated[str, Field(pattern=f"^{ACCOUNT.pattern}$")]
    application_charge_source_id: Id
    recurring_application_charge_id: Id | None = None

    @property
    def plan_id(self) -> str:
        return self.application_charge_source_id


class Install(_Hook):
    """A shop owner has chosen a plan. A contract id is there by one of two names, as the form has it."""

    application_charge_id: Id | None = None
    trial_term: TrialTerm | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_end(cls, said: Any) -> Any:
        if isinstance(said, Mapping) and said.keys() & OF_AN_END:
            raise ValueError("it tells of an end")
        return said

    @model_validator(mode="after")
    def _one_id(self) -> Self:
        if (self.recurring_application_charge_id is None) == (self.application_charge_id is None):
            raise ValueError("one contract id is wanted")
        return self

    @property
    def contract_id(self) -> str:
        return str(self.recurring_application_charge_id or self.application_charge_id)

    def check(self, form: Form) -> None:
        """Raise Malformed if it does not fit a plan of this form."""
        if (self.application_charge_id is not None) != (form is Form.ONE_TIME):
            raise Malformed("its contract id is another form's")
        if self.trial_term and not form.has_trial:
            raise Malformed("a trial where its form has none")

    def installed_on(self, today: date) -> date:
        """No hook says when: the day before the trial, or that of its arrival."""
        return self.trial_term.days.first - ONE_DAY if self.trial_term else today


class Uninstall(_Hook):
    """The app is out of a shop; for one-time plans without a contract id."""

    uninstalled_at: Seconds
    reason: str
    usage_charge: UsageCharge | None = None

    @model_validator(mode="after")
    def _known_reason(self) -> Self:
        if self.reason not in (Reason.BY_SHOP_OWNER, Reason.BY_UNPAID):
            raise ValueError("no reason of the store's")
        return self

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.uninstalled_at, UTC)

    def check(self, form: Form) -> None:
        if (self.recurring_application_charge_id is None) != (form is Form.ONE_TIME):
            raise Malformed("its contract id is another form's")


Hook = TypeVar("Hook", Install, Uninstall)


def read(kind: type[Hook], body: bytes) -> Hook:
    """Parse a verified body, or Malformed."""
    try:
        said = strict_json.read(body)
    except ValueError as error:
        raise Malformed(str(error)) from None
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        fields = {".".join(map(str, problem["loc"])) or "all of it" for problem in error.errors()}
        known = fields & _names(kind)
        raise Malformed(f"wrong: {', '.join(sorted(known)) or 'all of it'}") from None


def _day(seconds: int) -> date:
    return day(datetime.fromtimestamp(seconds, UTC))


def _names(kind: type[BaseModel]) -> set[str]:
    """What may be repeated in a log: our own names, never a stranger's."""
    return set(kind.model_fields) | {"trial_term.starts_at", "trial_term.ends_at"}
