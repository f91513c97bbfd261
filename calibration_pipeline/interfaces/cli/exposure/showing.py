"""What the command prints and writes."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration_pipeline.interfaces.cli.console import print_json, print_table, progress
from calibration_pipeline.interfaces.cli.exposure.sources import ExposureSource
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.store.private_files import private_file

if TYPE_CHECKING:
    from calibration_pipeline.records import ScaleExposure

_ROWS = 10
_COLUMNS = ("item_id", "content_version", "level", "probability", "rate", "rate_without")


def document_of(
    control: "ScaleExposure", source: ExposureSource, attempt: int | None
) -> dict[str, Any]:
    """Put what was found together; rates are those of the level that sees an item most.

    Parameters
    ----------
    attempt
        Number under which it was stored just now.
    """
    worst, before = control.rates.max(axis=0), control.rates_without.max(axis=0)
    most = sorted(range(len(control.keys)), key=lambda j: (-float(worst[j]), control.keys[j]))
    return {
        "version": source.version,
        "stored_as_attempt": attempt,
        "method": control.method,
        "items": len(control.keys),
        "answers": control.settings["answers"],
        "mean_length": control.mean_length,
        "maximum_rate": control.maximum_rate,
        "worst_rate": control.worst_rate,
        "worst_rate_without": control.worst_rate_without,
        "items_held_back": control.items_held_back,
        "items_seen_by_nobody": int((worst == 0.0).sum()),
        "items_seen_by_nobody_without": int((before == 0.0).sum()),
        "mean_sd_of_ability": control.mean_sd,
        "mean_sd_without": control.mean_sd_without,
        "precision_lost": control.precision_lost,
        "candidates": control.candidates,
        "cycles": control.cycles,
        "is_reached": control.is_reached,
        "most_seen": [
            {
                "item_id": control.keys[j][0],
                "content_version": control.keys[j][1],
                "probability": float(control.probability[:, j].min()),
                "rate": float(worst[j]),
                "rate_without": float(before[j]),
            }
            for j in most[:_ROWS]
        ],
    }


def show(document: dict[str, Any], as_json: bool) -> None:
    """Print it, as a table of facts and the items that are seen most, or as JSON."""
    if as_json:
        print_json(document)
        return
    print_facts("Exposure control", _facts(document))
    named = {"item_id": "Item", "content_version": "Content version"}
    if all(row["content_version"] == 1 for row in document["most_seen"]):
        del named["content_version"]
    headings = {"probability": "Open with", "rate": "Seen by", "rate_without": "Without control"}
    rows = [row | {name: f"{row[name]:.2%}" for name in headings} for row in document["most_seen"]]
    print_table(rows, named | headings)


def _facts(document: dict[str, Any]) -> dict[str, Any]:
    """Put what a person asks for into a few lines, rates as percentages."""
    d = document
    stored = {} if d["stored_as_attempt"] is None else {"stored as attempt": d["stored_as_attempt"]}
    version = {} if d["version"] is None else {"version": d["version"]}
    return version | stored | {
        "method": f"{d['method']}, {d['cycles']} cycles",
        "test": f"{d['mean_length']:.3g} of {d['items']:,} items",
        "maximum rate": f"{d['maximum_rate']:.2%}",
        "worst rate": f"{d['worst_rate']:.2%} (without control {d['worst_rate_without']:.2%})",
        "reached": d["is_reached"],
        "judged by": f"{d['candidates']:,} independent candidates",
        "items held back": d["items_held_back"],
        "items seen by nobody": (
            f"{d['items_seen_by_nobody']:,} (without control "
            f"{d['items_seen_by_nobody_without']:,})"
        ),
        "mean sd of ability": (
            f"{d['mean_sd_of_ability']:.4f} (without control {d['mean_sd_without']:.4f}): "
            f"{d['precision_lost']:.1%} of precision lost"
        ),
        "seconds": f"{d['seconds']:.1f}",
    }  # fmt: skip


def write_probabilities(path: Path, control: "ScaleExposure") -> None:
    """Write one row per item and level, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    by_level = zip(control.probability, control.rates, control.rates_without, strict=True)
    for level, columns in enumerate(by_level):
        for key, *values in zip(control.keys, *columns, strict=True):
            writer.writerow([*key, level, *(f"{value:.6g}" for value in values)])
    with private_file(path) as file:
        file.write(text.getvalue().encode())


def write_chart(
    path: Path, source: ExposureSource, configuration: ExposureConfiguration, rate: float
) -> None:
    """Simulate what a handful of maxima cost, and draw it."""
    import numpy as np

    from calibration_pipeline.irt.exposure_trade_off import MAXIMA, trade_offs
    from calibration_pipeline.policy.exposure_control import adaptive_test
    from calibration_pipeline.reports.exposure_chart import trade_off_chart

    maxima = sorted({*MAXIMA, rate})
    test = adaptive_test(source.pool, configuration)
    with progress("Simulating other maximum rates", len(maxima)) as reporter:
        found = trade_offs(
            test, np.random.default_rng(source.pool.seed), maxima, tell=reporter.advance
        )
    points = [(point.maximum_rate, point.information_lost) for point in found]
    with private_file(path) as file:
        file.write(trade_off_chart(points, rate).encode())
