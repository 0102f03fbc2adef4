"""Which of the shipped rooms are here, for tests of what knows them all."""

from collections.abc import Iterable

from storefront import ROOMS

IS_DOOR_OUT_HERE = "storefront.external" in ROOMS
IS_GAME_HERE = "storefront.game" in ROOMS


def of_rooms_here(names: Iterable[str]) -> list[str]:
    """Of walkthroughs, or their chapters, those whose room was not taken away."""
    gone = {"outside": not IS_DOOR_OUT_HERE, "game": not IS_GAME_HERE, "to-the-game": not IS_GAME_HERE}
    return [name for name in names if not any(gone[one] and name.startswith(one) for one in gone)]
