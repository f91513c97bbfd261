"""Extraction of a day beside a bare COPY of the same rows, which is read and thrown away.

    python -m benchmarks.extraction URL copy-text|copy-binary|extract OUTPUT

One measurement in a process of its own, so that its memory is its own.
"""

import argparse
import json
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from benchmarks.answer_log import DAY, TIMEZONE
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.extraction import extract_day
from calibration_pipeline.store.sources.base import ROW_SCHEMA, day_bounds

KEY = b"a benchmark's own key, 32 bytes."
_COPY = """
COPY (
    SELECT {columns} FROM calibration.response_log
    WHERE session_started_at >= {first} AND session_started_at < {last}
) TO STDOUT (FORMAT {format})
"""


def bare_copy(url: str, text_or_binary: str) -> tuple[float, int]:
    """Read all that is extracted, and nothing else: seconds and rows."""
    first, last = day_bounds([DAY], TIMEZONE)
    statement = sql.SQL(_COPY).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, ROW_SCHEMA.names[1:])),
        first=sql.Literal(first),
        last=sql.Literal(last),
        format=sql.SQL(text_or_binary),
    )
    parsed = make_url(url)
    options = {**parsed.query, "user": parsed.username, "dbname": parsed.database}
    rows = 0
    with psycopg.connect(**options) as connection, connection.cursor() as cursor:
        started = time.perf_counter()
        with cursor.copy(statement) as copy:
            for _ in copy:
                rows += 1
        # The head and the tail of the binary format come as rows, or with one.
        return time.perf_counter() - started, rows - (text_or_binary == "binary")


def extract(url: str) -> tuple[float, int, float]:
    """Extract the day into a fresh archive: seconds, answers, and what a process takes at first.

    That is the time of a day without answers: libraries and compiled code are loaded, which a
    night needs anyway.
    """
    engine = open_engine(url)
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        for day in (DAY + timedelta(days=1), DAY):
            started = time.perf_counter()
            revision = extract_day(engine, Archive(Path(folder)), day, TIMEZONE, KEY)
            seconds.append(time.perf_counter() - started)
    engine.dispose()
    return seconds[1], revision.response_count, seconds[0]


def main() -> None:
    """Measure one of them and write its seconds and rows as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("url")
    parser.add_argument("what", choices=["copy-text", "copy-binary", "extract"])
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    name, _, text_or_binary = arguments.what.partition("-")
    measured = (
        extract(arguments.url) if name == "extract" else bare_copy(arguments.url, text_or_binary)
    )
    names = ("seconds", "rows", "start_seconds")
    arguments.output.write_text(json.dumps(dict(zip(names, measured, strict=False))))


if __name__ == "__main__":
    main()
