"""The page's sections on the store: a day's extraction, and a whole night."""

from benchmarks import texts
from benchmarks.tables import prose, table
from benchmarks.targets import Results, best_rate

WAYS = {
    "copy-text": "bare COPY, text",
    "copy-binary": "bare COPY, binary",
    "extract": "extraction",
}


def extraction(section: Results) -> str:
    """Render a day's extraction, beside a bare COPY."""
    rows, best = [], {way: best_rate(section["rows"], way) for way in WAYS}
    for way, label in WAYS.items():
        found = [row for row in section["rows"] if row["way"] == way]
        slowest = min(row["rows"] / row["seconds"] for row in found)
        rows.append(
            [
                label,
                f"{min(row['seconds'] for row in found):.2f}",
                f"{best[way]:,.0f}",
                f"{slowest:,.0f}",
                "" if way == "extract" else f"{best['extract'] / best[way]:.2f}",
                f"{max(row['peak_mib'] for row in found):,.0f}",
            ]
        )
    head = ["", "seconds, fastest", "rows a second, fastest", "slowest"]
    head += ["extraction's rate over this one's", "MiB"]
    start = min(row["start_seconds"] for row in section["rows"] if row["way"] == "extract")
    more = (
        "Before that, each process that extracts has extracted a day without answers, which took "
        f"{start:.1f} s: libraries and compiled code are loaded, which a night needs anyway."
    )
    return f"{texts.EXTRACTION}\n{table(head, rows)}\n{prose(more)}"


def whole_night(section: Results) -> str:
    """Render a night, step by step."""
    rows = [[step, f"{seconds:.1f}"] for step, seconds in section["steps"].items()]
    between = section["seconds"] - sum(section["steps"].values())
    rows += [["between steps", f"{between:.1f}"], ["all", f"{section['seconds']:.1f}"]]
    more = (
        f"The process takes {section['peak_mib']:,.0f} MiB. {section['cold_start_seconds']:.1f} s "
        "more pass from its start until the run begins: imports, and connecting to Dagster's "
        "database."
    )
    return f"{texts.WHOLE_NIGHT}\n{table(['Step', 'seconds'], rows)}\n{prose(more)}"
