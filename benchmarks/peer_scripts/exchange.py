"""Reading a case and writing an estimate, for programs in other environments: NumPy only."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NOT_INSTALLED = 69
"""Exit status of a program whose package is missing (EX_UNAVAILABLE of sysexits.h)."""


@dataclass(frozen=True)
class Answers:
    """A case as other programs see it.

    Attributes
    ----------
    matrix
        ``(n_persons, n_items)`` int64, −1 where there is no answer.
    known
        ``(n_items, 3)`` a, b, c of fixed items, NaN elsewhere.
    prior
        ``(3, 2)`` mean and sd of log a, b and logit c.
    """

    matrix: np.ndarray[Any, Any]
    known: np.ndarray[Any, Any]
    prior: np.ndarray[Any, Any]

    @property
    def anchors(self) -> list[int]:
        """Numbers of the fixed items."""
        return [int(number) for number in np.flatnonzero(np.isfinite(self.known[:, 0]))]


def read_answers() -> Answers:
    """Spread the long table named by the first argument over a dense matrix."""
    with np.load(Path(sys.argv[1]) / "answers.npz") as stored:
        offsets, item, correct = (stored[k] for k in ("session_offsets", "item", "correct"))
        known, prior = stored["known"], stored["prior"]
    matrix = np.full((len(offsets) - 1, len(known)), -1)
    matrix[np.repeat(np.arange(len(matrix)), np.diff(offsets)), item] = correct
    return Answers(matrix, known, prior)


def write_estimate(
    a: Any, b: Any, c: Any, *, seconds: float, version: str, note: str, population: Any = None
) -> None:
    """Write what was found to the file named by the second argument.

    `population` is the (mean, sd) where they were estimated.
    """
    np.savez(
        sys.argv[2],
        parameters=np.column_stack([np.ravel(values).astype(float) for values in (a, b, c)]),
        seconds=seconds,
        version=version,
        note=note,
        population=np.full(2, np.nan) if population is None else np.asarray(population, float),
    )


def unavailable() -> None:
    """End the program the way that means "not installed"."""
    sys.exit(NOT_INSTALLED)
