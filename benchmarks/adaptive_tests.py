"""Adaptive tests simulated, and exposure control on top of them: ``… OUTPUT [POOL]``.

With a folder for the pool, the pool and the candidates are written there for another program.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from calibration_pipeline.irt.exposure_control import (
    AdaptiveTest,
    ItemEligibility,
    SympsonHetter,
    control_exposure,
)
from calibration_pipeline.irt.simulation import SelectionRule

CANDIDATES, ANSWERS, POOLS = 1000, 30, (500, 2400)
MAXIMUM_RATE = 0.2
RULE = SelectionRule(ANSWERS, pool_share=1.0, top=1)


def adaptive_test(items: int, top: int = 1) -> AdaptiveTest:
    """A test from a pool as in the other sections, for candidates ~ N(0, 1)."""
    generator = np.random.default_rng(42)
    parameters = np.column_stack(
        [
            np.clip(generator.lognormal(0.2, 0.3, items), 0.4, 2.5),
            generator.normal(size=items),
            generator.uniform(0.1, 0.3, items),
        ]
    )
    rule = SelectionRule(ANSWERS, pool_share=1.0, top=top)
    return AdaptiveTest(parameters, rule, lambda n, draw: draw.normal(size=n))


def simulate(items: int) -> dict[str, Any]:
    """Seconds for the candidates' tests, the fastest of five."""
    test = adaptive_test(items)
    generator = np.random.default_rng(0)
    runs = [_timed(lambda: test.simulate(CANDIDATES, None, generator)) for _ in range(5)]
    seconds, (abilities, found) = min(took for took, _ in runs), runs[-1][1]
    error = float(np.sqrt(np.mean((found.final_estimate - abilities) ** 2)))
    return {"program": "this project", "items": items, "seconds": seconds, "rmse": error}


def control(name: str, method: SympsonHetter | ItemEligibility) -> dict[str, Any]:
    """Search the probabilities of the larger pool, timed, and see what they reach.

    The time is that until the last cycle of the search: who verifies comes after it.
    """
    test = adaptive_test(POOLS[-1], top=5)
    told: list[float] = []
    started = time.perf_counter()
    found = control_exposure(
        test,
        MAXIMUM_RATE,
        method,
        np.random.default_rng(1),
        tell=lambda: told.append(time.perf_counter()),
    )
    return {
        "method": name,
        "seconds": told[len(found.cycles) - 1] - started,
        "candidates": sum(cycle.candidates for cycle in found.cycles),
        "verifying_candidates": found.reached.candidates,
        "worst_rate": found.reached.worst_rate,
        "worst_without": found.uncontrolled.worst_rate,
        "sum_of_rates": float(found.reached.overall_rates.sum()),
        "precision_lost": found.precision_lost,
    }


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def export(items: int, folder: Path) -> None:
    """Write a pool and its candidates for another program."""
    abilities = np.random.default_rng(0).normal(size=CANDIDATES)
    parameters = adaptive_test(items).parameters
    np.savez(folder / f"{items}.npz", parameters=parameters, theta=abilities, answers=ANSWERS)


def main() -> None:
    """Measure everything: OUTPUT, and a folder for the pools."""
    simulate(POOLS[0])  # compiles
    rows = [simulate(items) for items in POOLS]
    for items in POOLS:
        export(items, Path(sys.argv[2]))
    methods = {
        "item eligibility": ItemEligibility(),
        "Sympson–Hetter, 6 iterations": SympsonHetter(),
        "Sympson–Hetter, 30 iterations": SympsonHetter(cycles=30),
    }
    controlled = [control(name, method) for name, method in methods.items()]
    Path(sys.argv[1]).write_text(json.dumps({"rows": rows, "controlled": controlled}))


if __name__ == "__main__":
    main()
