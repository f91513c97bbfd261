"""The page's section on a Dask cluster."""

from typing import Any

from benchmarks import texts
from benchmarks.tables import prose, table


def on_cluster(section: dict[str, Any]) -> str:
    """Passes by number of workers, a fit, and what a pass costs without answers."""
    rows = [
        [
            f"{row['workers']}",
            f"{row['first_seconds']:.1f}",
            f"{row['pass_seconds']:.2f} ({row['pass_processor_seconds']:.2f})",
            f"{row['local_seconds']:.2f} ({row['local_processor_seconds']:.2f})",
            f"{row['shard_bytes'] / section['responses']:.2f}",
            f"{row['worker_mib']:,.0f}",
        ]
        for row in sorted(section["rows"], key=lambda row: row["workers"])
    ]
    head = ["workers", "first pass, s", "a pass, s", "here, s", "bytes an answer", "MiB a worker"]
    fixed = [
        [
            f"{row['items']:,}",
            f"{row['table_bytes'] / 2**20:.2f}",
            f"{row['pass_seconds'] * 1e3:.0f}",
            f"{row['local_seconds'] * 1e3:.0f}",
        ]
        for row in section["fixed"]
    ]
    fixed_head = ["items, next to no answers", "MiB that come back", "a pass, ms", "here, ms"]
    (compared,) = (row for row in section["rows"] if "fit_dask_seconds" in row)
    fit = (
        f"A fit with its standard errors, {compared['cycles']} cycles: "
        f"{compared['fit_dask_seconds']:.0f} s ({compared['fit_dask_processor_seconds']:.0f}) on "
        f"{compared['workers']} workers, {compared['fit_local_seconds']:.0f} s "
        f"({compared['fit_local_processor_seconds']:.0f}) on {section['threads']} threads here."
    )
    text = texts.DASK.format_map(section)
    return f"{text}\n{table(head, rows)}\n{prose(fit)}\n{table(fixed_head, fixed)}"
