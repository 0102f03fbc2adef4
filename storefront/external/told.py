"""What is wrong with values from outside, in a word for each field. `wording` says these words. Pure."""

from collections.abc import Iterable
from typing import Any, LiteralString

from pydantic import ValidationError, WrapValidator
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

Place = tuple[str | int, ...]  # the names and rows that lead to a field
Slip = tuple[Place, LiteralString]  # the field, and what is wrong with it


def called(word: LiteralString) -> WrapValidator:
    """Whatever the type before it finds wrong is called this."""

    def named(value: Any, found_by: ValidatorFunctionWrapHandler) -> Any:
        try:
            return found_by(value)
        except ValidationError:
            raise PydanticCustomError(word, word) from None

    return WrapValidator(named)


def refuse(slips: Iterable[Slip]) -> None:
    """ValidationError that names all of them, if there are any."""
    found = [
        InitErrorDetails(type=PydanticCustomError(word, word), loc=place, input=None) for place, word in slips
    ]
    if found:
        raise ValidationError.from_exception_data("what was told", found)
