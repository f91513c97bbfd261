"""girth's `threepl_mml` as it comes: no priors, no fixed items, no standard errors."""

import time
from importlib.metadata import version

from exchange import read_answers, unavailable, write_estimate

try:
    from girth import threepl_mml
except ImportError:
    unavailable()


def main() -> None:
    """Fit a case: FOLDER OUTPUT."""
    matrix = read_answers().matrix.T.copy()
    started = time.perf_counter()
    found = threepl_mml(matrix)
    seconds = time.perf_counter() - started
    write_estimate(
        found["Discrimination"], found["Difficulty"], found["Guessing"],
        seconds=seconds, version=version("girth"), note="at most 25 cycles",
    )  # fmt: skip


if __name__ == "__main__":
    main()
