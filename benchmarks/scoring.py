"""How far estimates are from the truth: as they stand, and after a linear link to it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.linking import transform_items
from calibration_pipeline.irt.linking_methods import mean_sigma
from calibration_pipeline.irt.model import FloatArray

Row = dict[str, Any]
WIDTH_95 = 1.959963984540054


def score(
    parameters: FloatArray,
    truth: FloatArray,
    compared: NDArray[np.bool_],
    errors: FloatArray | None = None,
) -> Row:
    """Root mean square errors and biases of a, b and c over the compared items with an estimate.

    "Linked" is after mean/sigma linking to the truth, which takes out the error of the scale. The
    coverage, of 95% intervals of b, needs standard errors.

    Raises
    ------
    ValueError
        If fewer than two of the compared items have an estimate.
    """
    seen = compared & np.isfinite(parameters).all(axis=1)
    if seen.sum() < 2:
        raise ValueError("fewer than two of the compared items have an estimate")
    estimate, true = parameters[seen], truth[seen]
    off = estimate - true
    linked = transform_items(estimate, mean_sigma(estimate, true)) - true
    row: Row = {
        "compared": int(seen.sum()),
        "rmse": np.sqrt(np.square(off).mean(axis=0)).tolist(),
        "bias": off.mean(axis=0).tolist(),
        "linked": np.sqrt(np.square(linked).mean(axis=0)).tolist(),
        "slope": float(np.polyfit(estimate[:, 1], true[:, 1], 1)[0]),
    }
    if errors is not None:
        within = np.abs(off[:, 1]) <= WIDTH_95 * errors[seen, 1]
        row["coverage"] = float(within.mean())
    return row


def read_ours(path: Path) -> Row:
    """Score what `benchmarks.ours` wrote."""
    with np.load(path) as found:
        row = score(
            found["parameters"], found["truth"], found["compared"], found["standard_errors"]
        )
        return row | {
            "seconds": float(found["seconds"]),
            "common_seconds": float(found["common_seconds"]),
            "note": str(found["note"]),
            "cycles": int(found["cycles"]),
            "responses": int(found["responses"]),
            "population": found["population"].tolist(),
        }


def read_peer(path: Path, truth: Path) -> Row:
    """Score what a program of ``peer_scripts`` wrote."""
    with np.load(truth) as stored:
        true, compared = stored["truth"], stored["compared"]
    if path.suffix == ".csv":
        return _read_r(path, true, compared)
    with np.load(path) as found:
        population = found["population"]
        return score(found["parameters"], true, compared) | {
            "seconds": float(found["seconds"]),
            "note": str(found["note"]),
            "version": str(found["version"]),
            "population": population.tolist() if np.isfinite(population).all() else None,
        }


def _read_r(path: Path, truth: FloatArray, compared: NDArray[np.bool_]) -> Row:
    """Read a line of text, two rows of figures, and a row per item."""
    heading = path.read_text().partition("\n")[0].removeprefix("# mirt ")
    version, _, note = heading.partition(";")
    figures = np.genfromtxt(path, delimiter=",", skip_header=1)
    population = figures[1, :2]
    return score(figures[2:], truth, compared) | {
        "seconds": float(figures[0, 0]),
        "note": note,
        "version": version,
        "population": population.tolist() if np.isfinite(population).all() else None,
    }
