"""Histories of flags written as text: one letter per night."""

from datetime import date, timedelta

from calibration_pipeline.records import Flag, FlagNight, ItemNight

FIRST = date(2026, 3, 1)
KEY = ("i1", 1)
LEVEL, CHANGE = "misfit_infit", "reference_drift"
ENOUGH = ItemNight(500, is_updated=True, is_anchor=False, is_compared=True)
FEW = ItemNight(5, is_updated=True, is_anchor=False, is_compared=False)

Z = {"C": 4.0, "G": 6.5, "w": 2.5, "n": 1.0}
"""C: credible; G: the evidence has grown; w: weaker, over the threshold; n: noise over it; in
their place . for a night without a flag, ? for one with too few answers."""


def day(number: int) -> date:
    """The night of a letter, counted from 0."""
    return FIRST + timedelta(days=number)


def flag(z: float, reason: str = LEVEL, key: tuple[str, int] = KEY) -> Flag:
    return Flag(key, reason, 1.5, 1.0, 1.3, z, abs(z) >= 3.5, "why", "what the model expects")


def history(nights: str, reason: str = LEVEL, key: tuple[str, int] = KEY) -> list[FlagNight]:
    return [
        FlagNight(
            day(number),
            (flag(Z[letter], reason, key),) if letter in Z else (),
            {key: FEW if letter == "?" else ENOUGH},
        )
        for number, letter in enumerate(nights)
    ]
