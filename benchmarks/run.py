"""Measure, store the figures in docs/benchmarks.json and render docs/benchmarks.md from them.

A section that isn't measured this time keeps its earlier figures. Run it with `make bench`.
"""

import argparse
import json
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.machine import describe
from benchmarks.processes import ROOT
from benchmarks.report import render
from benchmarks.sections import SECTIONS, TAKES_MINUTES, Section, Workshop
from benchmarks.targets import judge

FIGURES = ROOT / "docs" / "benchmarks.json"
PAGE = ROOT / "docs" / "benchmarks.md"
PEER_LIMIT_SECONDS = 300.0


def main() -> None:
    """Run the sections that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="measure these sections alone")
    parser.add_argument("--large", action="store_true", help="100 million answers, too")
    parser.add_argument("--limit", type=float, default=PEER_LIMIT_SECONDS, metavar="SECONDS",
                        help="a peer's time for a fit (default: %(default).0f)")  # fmt: skip
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page")
    arguments = parser.parse_args()
    wanted = arguments.only or [s for s in SECTIONS if arguments.large or s not in TAKES_MINUTES]
    console = Console(highlight=False, soft_wrap=True)
    results: dict[str, Section] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if not arguments.render:
        with tempfile.TemporaryDirectory() as folder:
            for name in wanted:
                console.print(f"[bold]{name}[/bold]: {SECTIONS[name].__doc__}")
                place = Path(folder) / name
                place.mkdir()
                workshop = Workshop(place, arguments.limit, console.print)
                results[name] = SECTIONS[name](workshop) | {
                    "machine": describe(),
                    "limit_seconds": arguments.limit,
                }
                FIGURES.write_text(json.dumps(_rounded(results), indent=1, sort_keys=True) + "\n")
    results = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    PAGE.write_text(render(results))
    for verdict in judge(results):
        console.print(f"{verdict.word:>12}  {verdict.claim}: {verdict.measured}")
    console.print(f"Written: {PAGE.relative_to(ROOT)}")


def _rounded(value: object) -> object:
    """Keep six significant digits: more would be noise in every comparison of two runs."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    return [_rounded(entry) for entry in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
