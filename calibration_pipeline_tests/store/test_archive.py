"""Archive files: complete or absent, for their owner alone."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.archive_format import ARCHIVE_SCHEMA, QUARANTINE_SCHEMA
from calibration_pipeline_tests.store.test_archive_format import ROW

DAY = date(2026, 3, 1)
ROWS = pa.Table.from_pylist([ROW], schema=ARCHIVE_SCHEMA)
LEFT_OUT = pa.Table.from_pylist([ROW | {"reason": "null_score"}], schema=QUARANTINE_SCHEMA)


def _files(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_a_day_is_named_by_its_content(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    with archive.write_day(DAY) as writer:
        writer.write(ROWS)
        writer.write_quarantine(LEFT_OUT)
        name, quarantine = writer.commit(3)
        assert name == f"responses/day=2026-03-01/revision-0003-{writer.digest[:12]}.parquet"
    assert quarantine == name.replace(".parquet", ".quarantine.parquet")
    assert _files(tmp_path / "archive") == sorted([name, quarantine])
    assert archive.read(name, ["score"])["score"].to_pylist() == [1]
    assert archive.read(quarantine)["reason"].to_pylist() == ["null_score"]


def test_only_the_owner_can_read(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive").write_day(DAY) as writer:
        writer.write(ROWS)
        writer.commit(1)
    for path in (tmp_path / "archive", *(tmp_path / "archive").rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_what_was_not_committed_leaves_nothing(tmp_path: Path) -> None:
    with Archive(tmp_path).write_day(DAY) as writer:
        writer.write(ROWS)
    assert _files(tmp_path) == []


def test_an_empty_day_has_a_file_and_no_quarantine(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    with archive.write_day(DAY) as writer:
        name, quarantine = writer.commit(1)
    assert quarantine is None
    assert archive.read(name).num_rows == 0


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    with pytest.raises(NightBlockedError, match=r"gone.parquet can't be read.*backup"):
        archive.read("gone.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(NightBlockedError, match=r"bad.parquet can't be read"):
        archive.read("bad.parquet")
