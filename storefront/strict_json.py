"""JSON of strangers, strictly taken: no key twice, no NaN, and not deeper than anybody means."""

import json
from typing import Any, NoReturn

DEEPEST = 16  # levels; nobody who talks to us has four


def read(body: bytes) -> Any:
    """What it says; or ValueError, which repeats nothing of it."""
    try:
        said = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_number)
        _bounded(said, DEEPEST)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except (ValueError, RecursionError):
        raise ValueError("not JSON, as strictly taken") from None
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) < len(pairs):
        raise ValueError("a key twice")
    return said


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _bounded(value: Any, levels: int) -> None:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if children and not levels:
        raise ValueError("too deep")
    for child in children:
        _bounded(child, levels - 1)
