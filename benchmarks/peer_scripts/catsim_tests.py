"""catsim gives the tests of a pool: POOL OUTPUT."""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from exchange import unavailable

try:
    from catsim.estimation import NumericalSearchEstimator
    from catsim.initialization import FixedPointInitializer
    from catsim.item_bank import ItemBank
    from catsim.selection import MaxInfoSelector
    from catsim.simulation import Simulator
    from catsim.stopping import TestLengthStopper
except ImportError:
    unavailable()


def main() -> None:
    """As its documentation shows: maximum information, numerical estimates, a fixed length."""
    pool, output = sys.argv[1:]
    with np.load(pool) as stored:
        parameters, theta, answers = stored["parameters"], stored["theta"], int(stored["answers"])
    items = ItemBank(np.column_stack([parameters, np.ones(len(parameters))]))
    simulator = Simulator(items, theta)
    started = time.perf_counter()
    simulator.simulate(
        FixedPointInitializer(0.0), MaxInfoSelector(), NumericalSearchEstimator(),
        TestLengthStopper(max_items=answers),
    )  # fmt: skip
    seconds = time.perf_counter() - started
    estimates = np.array([steps[-1] for steps in simulator.estimations])
    rmse = float(np.sqrt(np.mean((estimates - theta) ** 2)))
    found = {"seconds": seconds, "rmse": rmse, "version": version("catsim")}
    Path(output).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
