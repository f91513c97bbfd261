"""What has to be shown, and whether the last figures show it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmarks.scoring import Row

Results = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """One target, what was measured, and whether that meets it (None: not measured)."""

    claim: str
    measured: str
    is_met: bool | None

    @property
    def word(self) -> str:
        """The verdict in words."""
        return {True: "met", False: "missed", None: "not measured"}[self.is_met]


@dataclass(frozen=True)
class Figure:
    """A number, how it is written, and the range that it has to lie in."""

    claim: str
    value: float
    low: float = -float("inf")
    high: float = float("inf")
    form: str = ".3f"

    def verdict(self) -> Verdict:
        """Judge what the page shows, not digits that it doesn't."""
        shown = format(self.value, self.form)
        rounded = float(shown.replace(",", ""))
        return Verdict(self.claim, shown, self.low <= rounded <= self.high)


def judge(results: Results) -> list[Verdict]:
    """Give every target of the sections that were ever measured."""
    verdicts: list[Verdict] = []
    for name, of_section in JUDGES.items():
        if name not in results:
            verdicts.append(Verdict(f"section “{name}”", "never run", None))
            continue
        for found in of_section(results[name]):
            verdicts.append(found.verdict() if isinstance(found, Figure) else found)
    return verdicts


Found = Iterator[Figure | Verdict]


def _dense(section: Results) -> Found:
    ours = section["rows"][0]
    if ours["status"] != "ok":
        yield Verdict("dense 1000 × 500", ours["status"], False)
        return
    yield Figure("dense: seconds, under 1", ours["seconds"], high=0.99, form=".2f")
    yield Figure("dense: RMSE of b, at most .22", ours["rmse"][1], high=0.22)
    yield Figure("dense: RMSE of c, at most .061", ours["rmse"][2], high=0.061)
    yield Figure("dense: population sd, 1 ± .005", ours["population"][1], 0.995, 1.005)
    if any(row["status"] != "ok" for row in section["seeds"]):
        yield Verdict("dense, ten draws", "a fit failed", False)
        return
    linked = mean_of(section["seeds"], lambda row: row["linked"][1])
    yield Figure("dense, ten draws: linked RMSE of b, at most .215", linked, high=0.215)


def _night(section: Results) -> Found:
    ours, larger = section["rows"][0], section["larger"]
    for row in (ours, larger):
        if row["status"] != "ok":
            yield Verdict(row["case"], row["status"], False)
            return
    for k, (letter, limit) in enumerate((("a", 0.245), ("b", 0.165), ("c", 0.055))):
        claim = f"night: RMSE of {letter}, at most {limit:.3f}"
        yield Figure(claim, ours["rmse"][k], high=limit)
    yield Figure("night: population variance, 1 ± .03", ours["population"][1] ** 2, 0.97, 1.03)
    yield Figure("night: seconds, under 3", ours["seconds"], high=2.99, form=".2f")
    yield Figure("40,000 sessions: seconds, under 5", larger["seconds"], high=4.99, form=".2f")
    yield Figure("40,000 sessions: MiB, under 1,000", larger["peak_mib"], high=999, form=",.0f")


def _bias(label: str, draws: list[Row]) -> Found:
    if any(row["status"] != "ok" for row in draws):
        yield Verdict(label, "a fit failed", False)
        return
    bias = mean_of(draws, lambda row: row["bias"][1])
    yield Figure(f"{label}: bias of b, within .03", bias, -0.029, 0.029)


def _beside_mirt(label: str, rows: list[Row], limit_seconds: float) -> Found:
    ours = rows[0]
    if ours["status"] != "ok":
        return  # said already
    mirt = next(row for row in rows if row["program"].startswith("Python mirt"))
    if mirt["status"] == "ok":
        difference = ours["rmse"][1] - mirt["rmse"][1]
        claim = f"{label}: RMSE of b minus Python mirt's, below 0"
        yield Figure(claim, difference, high=-0.001)
        ratio = mirt["seconds"] / ours["seconds"]
    elif mirt["status"].startswith("stopped"):
        ratio = limit_seconds / ours["seconds"]
    else:
        yield Verdict(f"{label}: against Python mirt", mirt["status"], None)
        return
    yield Figure(f"{label}: times faster than Python mirt, 20", ratio, low=20, form=",.0f")


def _sparse(section: Results) -> Found:
    yield from _bias("sparse", section["rows"][:1])
    yield from _beside_mirt("sparse", section["rows"], section["limit_seconds"])


def _anchors(section: Results) -> Found:
    for population, found in section["populations"].items():
        mean, _, sd = population.partition("-")
        label = f"fixed items, N({mean}, {sd}²)"
        yield from _bias(label, found["draws"])
        yield from _beside_mirt(label, found["rows"], section["limit_seconds"])


def mean_of(rows: list[Row], read: Callable[[Row], float]) -> float:
    """Mean over repeated draws of a case."""
    return fmean(read(row) for row in rows)


def _starts(section: Results) -> Found:
    for share, fits in section["shares"].items():
        label = f"known starts, {float(share):.1%} of the pool"
        with_it, without = fits["regression"], fits["ignored"]
        if any(row["status"] != "ok" for row in with_it + without):
            yield Verdict(label, "a fit failed", False)
            continue
        slope = mean_of(with_it, lambda row: row["slope"])
        yield Figure(f"{label}: slope of true b on estimate, 1 ± .03", slope, 0.97, 1.03)
        covered = mean_of(with_it, lambda row: row["coverage"])
        yield Figure(f"{label}: coverage of b, .93 to .97", covered, 0.93, 0.97)
        gain = 1 - mean_of(with_it, _rmse_b) / mean_of(without, _rmse_b)
        yield Figure(f"{label}: RMSE of b lower than without, 10%", gain, low=0.1, form=".3f")


def _rmse_b(row: Row) -> float:
    return float(row["rmse"][1])


def _throughput(section: Results) -> Found:
    worst = min(row["ratio"] for row in section["rows"])
    yield Figure("E-step: share of the bare loop's speed, at least .70", worst, low=0.7, form=".2f")


def _adaptive_tests(section: Results) -> Found:
    ours = {row["items"]: row for row in section["rows"] if row["program"] == "this project"}
    seconds = ours[max(ours)]["seconds"]
    claim = f"1,000 adaptive tests, {max(ours):,} items: seconds, under 1"
    yield Figure(claim, seconds, high=0.999, form=".3f")
    for row in section["rows"]:
        if not row["program"].startswith("catsim"):
            continue
        claim = f"{row['items']:,} items: times faster than catsim, 100"
        if "seconds" not in row:
            yield Verdict(claim, row["status"], None)
            continue
        yield Figure(claim, row["seconds"] / ours[row["items"]]["seconds"], low=100, form=",.0f")
    for row in section["controlled"]:
        sum_of_rates = f"{row['method']}: sum of exposure rates, 30"
        yield Figure(sum_of_rates, row["sum_of_rates"], 30.0, 30.0, form=".6f")
        if "6 iterations" in row["method"]:
            yield Figure(
                f"{row['method']}: seconds, under 20", row["seconds"], high=19.9, form=".1f"
            )
        if row["method"] == "item eligibility":
            claim = "item eligibility: worst rate for a maximum of .2, at most .205"
            yield Figure(claim, row["worst_rate"], high=0.205, form=".4f")


def _large(section: Results) -> Found:
    if any(row["status"] != "ok" for row in section["rows"]):
        yield Verdict("100 million answers", "a fit failed", False)
        return
    small, *_, largest = section["rows"]
    yield Figure("100 million: seconds, under 180", largest["seconds"], high=179, form=",.0f")
    yield Figure("100 million: GiB, under 4", largest["peak_mib"] / 1024, high=3.99, form=".2f")
    growth = per_million(largest) / per_million(small)
    claim = "seconds per answer at 100 million over those at 1 million, at most 1.1"
    yield Figure(claim, growth, high=1.1, form=".2f")


def _dask(section: Results) -> Found:
    (compared,) = (row for row in section["rows"] if "fit_dask_seconds" in row)
    ratio = compared["fit_dask_seconds"] / compared["fit_local_seconds"]
    claim = "Dask: seconds of a fit on two workers over those on two threads, at most 1.3"
    yield Figure(claim, ratio, high=1.3, form=".2f")
    is_same = compared["fit_is_same"] and all(row["is_same"] for row in section["rows"])
    yield Verdict("Dask: the same bytes", "yes" if is_same else "no", is_same)


def best_rate(rows: list[Row], way: str) -> float:
    """Rows a second of the fastest run of a way."""
    return max(row["rows"] / row["seconds"] for row in rows if row["way"] == way)


def _extraction(section: Results) -> Found:
    rows = section["rows"]
    rate = best_rate(rows, "extract")
    for text_or_binary in ("text", "binary"):
        share = rate / best_rate(rows, f"copy-{text_or_binary}")
        claim = f"extraction: share of the rate of a bare COPY in {text_or_binary}, at least .60"
        yield Figure(claim, share, 0.6, form=".2f")
    million = rate / 1e6
    yield Figure("extraction: million rows a second, aim 1", million, 1.0, form=".2f")
    peak = max(row["peak_mib"] for row in rows if row["way"] == "extract")
    yield Figure("extraction: MB, under 500", peak * 2**20 / 1e6, high=499, form=",.0f")


def _whole_night(section: Results) -> Found:
    if section["outcome"] != "completed":
        yield Verdict("whole night: completed", section["outcome"], False)
    yield Figure("whole night: seconds, under 40", section["seconds"], high=39.9, form=".1f")


def _http(section: Results) -> Found:
    best = max(section["rows"], key=lambda row: float(row["rate"]))
    yield Figure("HTTP: items a second, at least 1,500", best["rate"], 1500, form=",.0f")
    yield Figure(
        "HTTP: ms of an item, 99th percentile, under 20", best["p99"], high=19.9, form=".1f"
    )
    slowest = max(row["median_ms"] for row in section["snapshots"])
    yield Figure("HTTP: ms of a version of 2,400 items, under 50", slowest, high=49.9, form=".1f")


def _calibrations(section: Results) -> Found:
    slowest = max(row["seconds"] for row in section["rows"])
    yield Figure("HTTP: s of a calibration of 50,000, under 3", slowest, high=2.99, form=".2f")


def per_million(row: Row) -> float:
    """Seconds per million answers."""
    return float(row["seconds"] / row["responses"] * 1e6)


JUDGES: dict[str, Callable[[Results], Found]] = {
    "dense": _dense,
    "night": _night,
    "sparse": _sparse,
    "anchors": _anchors,
    "starts": _starts,
    "throughput": _throughput,
    "adaptive-tests": _adaptive_tests,
    "large": _large,
    "dask": _dask,
    "extraction": _extraction,
    "whole-night": _whole_night,
    "http": _http,
    "calibrations": _calibrations,
}
