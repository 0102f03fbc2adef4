"""What is outstanding with Color Me, for a terminal and for one file."""

from collections.abc import Mapping, Sequence

from storefront.colorme import outstanding as found
from storefront.colorme.contracts import Contract
from storefront.colorme.outstanding import Case
from storefront.tables import Row, Section, stamp

CASE = ("code", "owner", "contract", "item", "yen", "state", "sent", "answer")
INSTALL = ("contract", "owner", "plan", "installed")
DEBT = ("code", "contract", "owner", "period", "yen")
OF_NONE = "Color Me never had this contract, and takes no report of it"
COLUMNS = ("what", *CASE, "plan", "installed", "period")


def outstanding() -> Sequence[Section]:
    """What is unknown, lost, late, owed or not confirmed, each by its contract's id."""
    debts = [
        (one.code, one.contract.id, one.contract.account, str(one.period), one.yen) for one in found.owed()
    ]
    installs, none = map(_installs, (found.unconfirmed(), found.never_made()))
    return (
        _cases(
            "without an answer of Color Me: look there, then `storefront resolve`",
            "unknown",
            found.to_resolve(),
        ),
        _cases(
            "usage that waits for a token: its owner has to come in, or its uninstall to be told again",
            "without_token",
            found.without_token(),
        ),
        _cases("usage that Color Me takes no more, or less than it takes", "lost", found.lost()),
        _cases("usage that was reported after its period, and is billed with the next", "late", found.late()),
        _cases(
            "charged at another amount than was asked for, or than a person has said",
            "otherwise",
            found.otherwise(),
        ),
        Section(
            "bills of owners who were forced out, by reckoning: once paid, `storefront resolve CODE seen`",
            _shown(DEBT),
            debts,
            COLUMNS,
            [_line("owed", DEBT, row) for row in debts],
        ),
        Section(
            "installs at Color Me whose owner has not come in: no part of the sums",
            INSTALL,
            installs,
            COLUMNS,
            [_line("not_confirmed", INSTALL, row) for row in installs],
        ),
        Section(
            "installs that Color Me never had, as the end of another has shown: all of it was undone",
            INSTALL,
            none,
            COLUMNS,
            [_line("never_made", INSTALL, row) for row in none],
        ),
    )


def _cases(title: str, what: str, cases: Sequence[Case]) -> Section:
    rows = [_case(case) for case in cases]
    return Section(title, _shown(CASE), rows, COLUMNS, [_line(what, CASE, row) for row in rows])


def _shown(heading: Sequence[str]) -> Sequence[str]:
    """As a person reads it; a file keeps the name of its column."""
    return ["¥" if name == "yen" else name for name in heading]


def _case(case: Case) -> Row:
    return (
        case.code,
        case.contract.account,
        case.contract.id,
        case.what,
        case.yen,
        case.state.value,
        stamp(case.sent_at),
        f"{case.answer}; {OF_NONE}" if case.is_of_none else case.answer,
    )


def _installs(found: Sequence[Contract]) -> Sequence[Row]:
    return [(one.id, one.account, one.plan_id, one.installed_on) for one in found]


def _line(what: str, heading: Sequence[str], row: Row) -> Mapping[str, object]:
    return {"what": what, **dict(zip(heading, row, strict=True))}
