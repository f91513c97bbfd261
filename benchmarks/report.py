"""The page: targets first, then a table per section."""

from collections.abc import Callable
from typing import Any

from benchmarks import texts
from benchmarks.cluster_report import on_cluster
from benchmarks.scoring import Row
from benchmarks.store_report import extraction, whole_night
from benchmarks.tables import prose, table
from benchmarks.targets import Results, judge, mean_of, per_million


def render(results: Results) -> str:
    """Write the page from the stored figures."""
    limit = max((part["limit_seconds"] for part in results.values()), default=300.0)
    parts = [texts.INTRODUCTION.format(limit=limit), _targets(results), _machines(results)]
    parts += [
        f"## {title}\n\n{body(results[name])}" for name, title, body in BODIES if name in results
    ]
    return "\n".join(parts)


def _targets(results: Results) -> str:
    rows = [[verdict.claim, verdict.measured, verdict.word] for verdict in judge(results)]
    return "## What has to be shown\n\n" + table(["Target", "Measured", ""], rows)


def _machines(results: Results) -> str:
    """Name each machine once, with the sections that were measured on it."""
    sections: dict[str, list[str]] = {}
    for name, part in results.items():
        machine = part["machine"]
        text = (
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}, "
            f"{machine['system']}; "
            + ", ".join(f"{k} {machine[k]}" for k in ("Python", "numpy", "numba", "scipy"))
        )
        sections.setdefault(text, []).append(name)
    order = [name for name, *_ in BODIES]
    lines = [
        f"- {text} ({', '.join(sorted(names, key=order.index))})\n"
        for text, names in sections.items()
    ]
    return "## Machine\n\n" + "".join(lines)


COMPARISON = ["", "seconds", "MiB", "RMSE a", "b", "c", "bias b", "linked a", "linked b",
              "ability: mean, sd"]  # fmt: skip


def _comparison(rows: list[Row]) -> str:
    return table(COMPARISON, [_compared(row) for row in rows])


def _compared(row: Row) -> list[str]:
    memory = f"{row['peak_mib']:,.0f}" if "peak_mib" in row else ""
    if row["status"] != "ok":
        return [row["program"], row["status"], memory, *[""] * (len(COMPARISON) - 3)]
    version = f" {row['version']}" if "version" in row else ""
    name, _, how = row["program"].partition(", ")
    details = ", ".join(filter(None, (how, row["note"])))
    population = row.get("population")
    return [
        f"{name}{version} ({details})",
        _seconds(row["seconds"]),
        memory,
        *(f"{value:.3f}" for value in row["rmse"]),
        f"{row['bias'][1]:+.3f}",
        *(f"{value:.3f}" for value in row["linked"][:2]),
        f"{population[0]:.3f}, {population[1]:.3f}" if population else "",
    ]


def _entry(kind: str, position: int) -> Callable[[Row], float]:
    return lambda row: float(row[kind][position])


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _dense(section: Results) -> str:
    body = f"{texts.DENSE}\n{_comparison(section['rows'])}\n"
    seeds = [row for row in section["seeds"] if row["status"] == "ok"]
    if not seeds:
        return body
    means, linked = (
        [mean_of(seeds, _entry(kind, k)) for k in range(3)] for kind in ("rmse", "linked")
    )
    sds = [row["population"][1] for row in seeds]
    more = (
        f"Ours in {len(seeds)} more draws, mean RMSE of a, b, c: raw {_listed(means)}; linked "
        f"{_listed(linked)}. The standard deviation of ability, given as 1, comes back as "
        f"{min(sds):.3f} to {max(sds):.3f}."
    )
    return body + prose(more)


def _night(section: Results) -> str:
    larger = section["larger"]
    body = f"{texts.NIGHT}\n{_comparison(section['rows'])}\n"
    ours = section["rows"][0]
    if ours["status"] == "ok":
        body += prose(
            f"Ours covers the true b of {ours['coverage']:.1%} of these items with its 95% "
            f"intervals. {_seconds(ours['common_seconds'])} s more give the part of the errors "
            "that all items share, which those intervals include."
        )
        body += "\n"
    if larger["status"] != "ok":
        return f"{body}40,000 sessions: {larger['status']}.\n"
    return body + prose(
        f"40,000 sessions: {_seconds(larger['seconds'])} s, {larger['peak_mib']:,.0f} MiB, "
        f"RMSE of a, b, c {_listed(larger['rmse'])}."
    )


def _sparse(section: Results) -> str:
    return f"{texts.SPARSE}\n{_comparison(section['rows'])}"


def _anchors(section: Results) -> str:
    parts = [texts.ANCHORS]
    for population, found in section["populations"].items():
        mean, _, sd = population.partition("-")
        part = f"### Population N({mean}, {sd}²)\n\n{_comparison(found['rows'])}"
        draws = [row for row in found["draws"] if row["status"] == "ok"]
        if draws:
            means = [mean_of(draws, _entry(kind, 1)) for kind in ("rmse", "bias")]
            covered = mean_of(draws, lambda row: row["coverage"])
            part += "\n" + prose(
                f"Ours in {len(draws)} draws: RMSE of b {means[0]:.3f}, bias {means[1]:+.3f}; the "
                f"95% intervals cover {covered:.1%}."
            )
        parts.append(part)
    return "\n".join(parts)


def _starts(section: Results) -> str:
    rows, draws = [], 0
    for share, fits in section["shares"].items():
        for how, said in (("ignored", "start ignored"), ("regression", "regression on the start")):
            found = [row for row in fits[how] if row["status"] == "ok"]
            draws = max(draws, len(found))
            label = f"{float(share):.1%} of the pool, {said}"
            if not found:
                rows.append([label, fits[how][0]["status"], "", ""])
                continue
            means = [
                mean_of(found, read)
                for read in (
                    lambda row: row["slope"],
                    lambda row: row["coverage"],
                    lambda row: row["rmse"][1],
                )
            ]
            rows.append([label, *(f"{value:.3f}" for value in means)])
    head = ["A session sees", "slope of true b on estimate", "coverage of 95% intervals", "RMSE b"]
    return f"{texts.STARTS.format(draws=draws)}\n{table(head, rows)}"


def _throughput(section: Results) -> str:
    rows = [
        [
            f"{row['responses']:,} answers, {row['items']:,} items, {row['nodes']} nodes",
            f"{row['bare']:.1f}",
            f"{row['estep']:.1f}",
            f"{row['ratio']:.0%}",
        ]
        for row in section["rows"]
    ]
    return f"{texts.THROUGHPUT}\n{table(['', 'bare loop', 'E-step', 'ratio'], rows)}"


def _adaptive_tests(section: Results) -> str:
    tests = [
        [
            f"{row['items']:,}",
            row["program"],
            f"{row['seconds']:.3g}" if "seconds" in row else row["status"],
            f"{row['rmse']:.3f}" if "rmse" in row else "",
        ]
        for row in sorted(section["rows"], key=lambda row: row["items"])
    ]
    controlled = [
        [
            row["method"],
            f"{row['candidates']:,}",
            f"{row['seconds']:.1f}",
            f"{row['worst_rate']:.4f}",
            f"{row['worst_without']:.3f}",
            f"{row['precision_lost']:.1%}",
        ]
        for row in section["controlled"]
    ]
    heads = ["", "candidates", "seconds", "worst rate", "without", "precision lost"]
    return (
        f"{texts.ADAPTIVE_TESTS}\n{table(['items', '', 'seconds', 'RMSE'], tests)}\n"
        f"{texts.EXPOSURE_CONTROL}\n{table(heads, controlled)}"
    )


def _large(section: Results) -> str:
    rows = [
        [row["case"], row["status"]]
        if row["status"] != "ok"
        else [
            f"{row['responses']:,}",
            _seconds(row["seconds"]),
            f"{per_million(row):.2f}",
            row["note"],
            f"{row['peak_mib']:,.0f}",
            f"{row['rmse'][1]:.3f}",
        ]
        for row in section["rows"]
    ]
    raw = 100e6 * (4 + 1 + 4) / 2**30  # item, score, and the row of the table
    head = ["Answers", "seconds", "seconds per million", "cycles", "MiB", "RMSE b"]
    return f"{texts.LARGE.format(raw=raw)}\n{table(head, rows)}"


def _http(section: Results) -> str:
    rows = [
        [f"{row['rate']:,.0f}", f"{row['p50']:.1f}", f"{row['p99']:.1f}", f"{row['cpu_us']:.0f}"]
        for row in section["rows"]
    ]
    head = ["items a second", "median, ms", "99th percentile, ms", "µs of a core for each"]
    snapshots = [
        [row["form"], f"{row['bytes'] / 1000:,.0f}", f"{row['median_ms']:.1f}",
         f"{row['worst_ms']:.1f}"]
        for row in section["snapshots"]
    ]  # fmt: skip
    more = f"The machine's load before was {section['load']:.1f}."
    forms = ["A whole version", "kB", "median, ms", "slowest, ms"]
    return f"{texts.HTTP}\n{table(head, rows)}\n{table(forms, snapshots)}\n{prose(more)}"


def _calibrations(section: Results) -> str:
    rows = [
        [row["model"], f"{row['persons']:,}", f"{row['items']:,}", f"{row['megabytes']:.1f}",
         f"{row['seconds']:.2f}", f"{row['worst_seconds']:.2f}"]
        for row in section["rows"]
    ]  # fmt: skip
    head = ["model", "persons", "items", "MB sent", "median, s", "slowest, s"]
    more = (
        f"The first call of all, as soon as the service said that it was ready, took "
        f"{section['first_seconds']:.2f} s. The machine's load before was {section['load']:.1f}."
    )
    return f"{texts.CALIBRATIONS}\n{table(head, rows)}\n{prose(more)}"


BODIES: tuple[tuple[str, str, Callable[[dict[str, Any]], str]], ...] = (
    ("dense", "Dense: 1000 items × 500 students", _dense),
    ("night", "A night: 20,000 adaptive sessions, 2,400 items", _night),
    ("sparse", "Sparse, with priors", _sparse),
    ("anchors", "Fixed items and another population", _anchors),
    ("starts", "Sessions that start from what the engine knew", _starts),
    ("throughput", "E-step throughput", _throughput),
    ("adaptive-tests", "Adaptive tests and exposure control", _adaptive_tests),
    ("large", "100 million answers", _large),
    ("dask", "On a Dask cluster", on_cluster),
    ("extraction", "Extraction of a day", extraction),
    ("whole-night", "A whole night", whole_night),
    ("http", "Reads over HTTP", _http),
    ("calibrations", "Calibrations over HTTP", _calibrations),
)
