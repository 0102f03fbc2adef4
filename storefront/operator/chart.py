"""A month of sales as bars, drawn without a script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

HEIGHT, STEP = 100, 12  # of the drawing, and from one day to the next


@dataclass(frozen=True)
class Bar:
    """What a day came to, and its rectangle; a day on which more went back than came hangs below the line."""

    day: date
    amount: int
    x: int
    y: int
    height: int


@dataclass(frozen=True)
class Chart:
    """Bars on a line; `base` is where it runs."""

    bars: Sequence[Bar]
    base: int
    width: int
    height: int = HEIGHT


def drawn(amounts: Mapping[date, int], days: Sequence[date]) -> Chart:
    """Each of these days has its bar, and the tallest with the deepest fill the height."""
    values = [amounts.get(day, 0) for day in days]
    top, bottom = max(0, *values), min(0, *values)
    span = top - bottom or 1
    base = round(HEIGHT * top / span) if top or bottom else HEIGHT
    bars = [
        Bar(
            day,
            value,
            x=at * STEP,
            y=base - _tall(value, span) if value > 0 else base,
            height=_tall(abs(value), span),
        )
        for at, (day, value) in enumerate(zip(days, values, strict=True))
    ]
    return Chart(bars, base, STEP * len(days))


def _tall(amount: int, span: int) -> int:
    """What is not nothing can be seen."""
    return max(2, round(HEIGHT * amount / span)) if amount else 0
