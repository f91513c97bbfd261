"""The sections of the page that measure the store: a day's extraction, and a whole night."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from benchmarks.answer_log import answer_log
from benchmarks.processes import run_limited
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine

ANSWERS = 5_000_000
ROUNDS = 3
LIMIT_SECONDS = 600.0
WAYS = ("copy-text", "copy-binary", "extract")


def measure_extraction(folder: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Take the ways in turn, so that what else the machine does falls on all of them."""
    rows = []
    with answer_log(folder / "home", ANSWERS) as server:
        _once(server.url(), "extract", folder, server)  # compiles, and fills the disk's cache
        for number in range(ROUNDS):
            for way in WAYS:
                rows.append({"round": number + 1} | _once(server.url(), way, folder, server))
                rate = rows[-1]["rows"] / rows[-1]["seconds"]
                say(f"  {way}: {rate:,.0f} rows/s, {rows[-1]['peak_mib']:.0f} MiB")
    return rows


def _once(url: str, way: str, folder: Path, server: EmbeddedServer) -> dict[str, Any]:
    """Measure one way; an extraction in a copy of the database, in which no day was extracted."""
    output = folder / "measured.json"
    with _copied(server) if way == "extract" else _given(url) as where:
        command = [sys.executable, "-m", "benchmarks.extraction", where, way, str(output)]
        run = run_limited(command, LIMIT_SECONDS)
    if run.returncode != 0:
        raise RuntimeError(f"{way} could not be measured: {run.last_line}")
    return {"way": way, "peak_mib": run.peak_mib, **json.loads(output.read_text())}


@contextmanager
def _given(url: str) -> Iterator[str]:
    yield url


@contextmanager
def _copied(server: EmbeddedServer) -> Iterator[str]:
    name = f"copy_{uuid4().hex[:8]}"
    engine = open_engine(server.url("postgres"))
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    try:
        with autocommit.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE calibration"))
            connection.execute(sa.text("CHECKPOINT"))
        yield server.url(name)
    finally:
        with autocommit.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        engine.dispose()


def measure_night(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Prepare a programme, untimed, and process its last night in a fresh process."""
    home, output = folder / "home", folder / "night.json"
    command = [sys.executable, "-m", "benchmarks.whole_night"]
    try:
        for arguments in (["prepare", str(home)], ["run", str(home), str(output)]):
            run = run_limited([*command, *arguments], LIMIT_SECONDS)
            if run.returncode != 0:
                raise RuntimeError(f"the night could not be measured: {run.last_line}")
    finally:
        EmbeddedServer(home).remove()
    row: dict[str, Any] = json.loads(output.read_text()) | {"peak_mib": run.peak_mib}
    say(f"  {row['outcome']} in {row['seconds']:.1f} s, {row['peak_mib']:.0f} MiB")
    return row
