"""What each section of the page measures. Every fit runs in a process of its own, one at a time."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import http_calibration, http_service, peers, store_sections
from benchmarks.processes import run_limited
from benchmarks.scoring import Row, read_ours

Section = dict[str, Any]
OURS_LIMIT_SECONDS = 1800.0
DENSE_SEEDS = range(1, 11)
POPULATIONS = ("0-1", "0.5-1.2", "1-1.4")
ANCHOR_SEEDS = range(5, 15)
START_SHARES = ("0.025", "0.1")
START_SEEDS = (11, 12, 13)
LARGE_SIZES = (1_000_000, 10_000_000, 100_000_000)


@dataclass(frozen=True)
class Workshop:
    """Where sections work.

    Attributes
    ----------
    folder
        For files that nobody needs afterwards.
    limit_seconds
        What a peer gets for a fit, imports and reading included.
    say
        Told about each row as it comes.
    """

    folder: Path
    limit_seconds: float
    say: Callable[[str], None]

    def ours(self, name: str, repeats: int = 3) -> Row:
        """Fit a case with this project's estimator."""
        output = self.folder / f"{name}.npz"
        command = [sys.executable, "-m", "benchmarks.ours", name, str(output)]
        run = run_limited([*command, "--repeats", str(repeats)], OURS_LIMIT_SECONDS)
        row: Row = {"program": "this project", "case": name, "peak_mib": run.peak_mib}
        if run.was_stopped:
            row["status"] = f"stopped after {OURS_LIMIT_SECONDS:.0f} s"
        elif run.returncode != 0:
            self.say(run.last_line)
            row["status"] = run.failure
        else:
            row |= {"status": "ok"} | read_ours(output)
            output.unlink()
        return self._said(row)

    def side_by_side(self, name: str, others: tuple[peers.Peer, ...]) -> list[Row]:
        """Fit a case with this project's estimator and with every peer."""
        folder = self.folder / name
        folder.mkdir()
        command = [sys.executable, "-m", "benchmarks.cases", name, str(folder)]
        run = run_limited([*command, *(["--for-r"] if peers.has_r() else [])], OURS_LIMIT_SECONDS)
        if run.returncode != 0:
            raise RuntimeError(f"case {name} could not be written: {run.last_line}")
        rows = [self.ours(name)]
        for peer in others:
            row = peers.measure(peer, folder, self.limit_seconds, self.say)
            rows.append(self._said(row | {"case": name}))
        return rows

    def _said(self, row: Row) -> Row:
        took = f"{row['seconds']:.2f} s" if "seconds" in row else row["status"]
        self.say(f"  {row['case']}: {row['program']}: {took}")
        return row


def dense(workshop: Workshop) -> Section:
    """1000 items × 500 students, and ten more draws of it for our own mean."""
    return {
        "rows": workshop.side_by_side("dense-42", peers.DENSE),
        "seeds": [workshop.ours(f"dense-{seed}", repeats=1) for seed in DENSE_SEEDS],
    }


def night(workshop: Workshop) -> Section:
    """A night of 20,000 sessions, and one of 40,000."""
    return {
        "rows": workshop.side_by_side("night-20000", peers.WITH_ANCHORS),
        "larger": workshop.ours("night-40000"),
    }


def sparse(workshop: Workshop) -> Section:
    """10,000 persons × 300 items × 40 answers, with priors."""
    return {"rows": workshop.side_by_side("sparse", peers.WITH_PRIORS)}


def anchors(workshop: Workshop) -> Section:
    """5,000 × 100 with 12 fixed items, in three populations; ten draws for our own bias."""
    return {
        "populations": {
            population: {
                "rows": workshop.side_by_side(
                    f"anchors-{population}-{ANCHOR_SEEDS[0]}", peers.WITH_ANCHORS
                ),
                "draws": [
                    workshop.ours(f"anchors-{population}-{seed}", repeats=1)
                    for seed in ANCHOR_SEEDS
                ],
            }
            for population in POPULATIONS
        }
    }


def starts(workshop: Workshop) -> Section:
    """Sessions that start from what the engine knew, with and without the regression on it."""
    return {
        "shares": {
            share: {
                how: [
                    workshop.ours(f"starts-{how}-{share}-{seed}", repeats=1) for seed in START_SEEDS
                ]
                for how in ("regression", "ignored")
            }
            for share in START_SHARES
        }
    }


def throughput(workshop: Workshop) -> Section:
    """The E-step beside a bare loop over the same rows."""
    output = workshop.folder / "throughput.json"
    run = run_limited([sys.executable, "-m", "benchmarks.throughput", str(output)], 600.0)
    if run.returncode != 0:
        raise RuntimeError(f"the throughput could not be measured: {run.last_line}")
    rows = json.loads(output.read_text())
    for row in rows:
        workshop.say(f"  {row['case']}: {row['ratio']:.2f} of the bare loop")
    return {"rows": rows}


def dask(workshop: Workshop) -> Section:
    """20 million answers on 1, 2 and 4 Dask workers, beside this machine's threads."""
    output = workshop.folder / "dask.json"
    command = [sys.executable, "-m", "benchmarks.dask_cluster", str(output)]
    run = run_limited(command, OURS_LIMIT_SECONDS)
    if run.returncode != 0:
        raise RuntimeError(f"the cluster could not be measured: {run.last_line}")
    found: Section = json.loads(output.read_text())
    for row in found["rows"]:
        workshop.say(f"  {row['workers']} workers: a pass {row['pass_seconds']:.2f} s")
    return found


def large(workshop: Workshop) -> Section:
    """1, 10 and 100 million answers to the same 10,000 items."""
    return {
        "rows": [
            workshop.ours(f"large-{size}", repeats=3 if size < 10_000_000 else 1)
            for size in LARGE_SIZES
        ]
    }


def adaptive_tests(workshop: Workshop) -> Section:
    """1,000 candidates' adaptive tests beside catsim's, and exposure control."""
    output = workshop.folder / "ours.json"
    command = [sys.executable, "-m", "benchmarks.adaptive_tests", str(output)]
    run = run_limited([*command, str(workshop.folder)], OURS_LIMIT_SECONDS)
    if run.returncode != 0:
        raise RuntimeError(f"adaptive tests could not be measured: {run.last_line}")
    found: Section = json.loads(output.read_text())
    for row in list(found["rows"]):
        found["rows"].append(
            peers.simulate_tests(row["items"], workshop.folder, OURS_LIMIT_SECONDS)
        )
    for row in found["rows"]:
        took = f"{row['seconds']:.3f} s" if "seconds" in row else row["status"]
        workshop.say(f"  {row['items']} items: {row['program']}: {took}")
    return found


def extraction(workshop: Workshop) -> Section:
    """A day of 5 million answers into the archive, beside a bare COPY."""
    return {"rows": store_sections.measure_extraction(workshop.folder, workshop.say)}


def whole_night(workshop: Workshop) -> Section:
    """A night of 2,400 items and 1.2 million answers through Dagster, step by step."""
    return store_sections.measure_night(workshop.folder, workshop.say)


def http(workshop: Workshop) -> Section:
    """Single items and whole versions over HTTP, by wrk."""
    return http_service.measure(workshop.folder, workshop.say)


def calibrations(workshop: Workshop) -> Section:
    """50,000 observations to `POST /calibrate`, by a server of its own."""
    return http_calibration.measure(workshop.folder, workshop.say)


SECTIONS: dict[str, Callable[[Workshop], Section]] = {
    "dense": dense,
    "night": night,
    "sparse": sparse,
    "anchors": anchors,
    "starts": starts,
    "throughput": throughput,
    "adaptive-tests": adaptive_tests,
    "large": large,
    "dask": dask,
    "extraction": extraction,
    "whole-night": whole_night,
    "http": http,
    "calibrations": calibrations,
}
TAKES_MINUTES = frozenset({"large", "dask"})
"""Left out unless asked for."""
