"""Archive files: complete or absent, for their owner alone."""

import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from calibration_pipeline.errors import ArchiveWriteError, DiskFullError, NightBlockedError
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


def _write(archive: Archive, rows: pa.Table = ROWS) -> None:
    with archive.write_day(DAY) as writer:
        writer.write(rows)
        writer.write_quarantine(LEFT_OUT)
        writer.commit(1)


def test_a_disk_without_room_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    root = tmp_path / "not" / "there yet"
    free = shutil.disk_usage(tmp_path).free
    Archive(root, free // 2).require_room(free // 4)
    with pytest.raises(DiskFullError, match=r"MB free.*CALIBRATION_MINIMUM_FREE_DISK_MB"):
        Archive(root, free // 2).require_room(free)
    with pytest.raises(DiskFullError):
        Archive(root, 2 * free).require_room(0)
    assert not (tmp_path / "not").exists()


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let the system refuse files that grow beyond 4 kB, as a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_may_not_grow_ends_in_one_line_and_leaves_nothing(
    tmp_path: Path, small_files: None
) -> None:
    texts = [os.urandom(30).hex() for _ in range(2_000)]
    rows = pa.Table.from_pylist([ROW | {"item_id": text} for text in texts], ARCHIVE_SCHEMA)
    with pytest.raises(DiskFullError, match="File too large") as refusal:
        _write(Archive(tmp_path / "archive"), rows)
    assert "\n" not in str(refusal.value)
    assert _files(tmp_path / "archive") == []


def _fails(code: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("step", ["open", "fsync"])
@pytest.mark.parametrize(
    ("code", "error"),
    [(errno.ENOSPC, DiskFullError), (errno.EROFS, ArchiveWriteError), (errno.EACCES, None)],
)
def test_whatever_the_system_refuses_is_one_typed_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    code: int,
    error: type[Exception] | None,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, step, _fails(code))
        with pytest.raises(error or ArchiveWriteError, match="nothing was recorded") as refusal:
            _write(Archive(tmp_path / "archive"))
    assert isinstance(refusal.value, DiskFullError) == (code == errno.ENOSPC)
    assert os.strerror(code) in str(refusal.value)
    assert _files(tmp_path / "archive") == []


def test_a_second_file_that_can_not_be_made_takes_the_first_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = os.open, 0

    def once(*arguments: int) -> int:
        nonlocal made
        made += 1
        return real(*arguments) if made == 1 else _fails(errno.ENOSPC)()

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", once)
        with pytest.raises(DiskFullError):
            _write(Archive(tmp_path / "archive"))
    assert (made, _files(tmp_path / "archive")) == (2, [])


def test_deleting_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    _write(archive)
    names = _files(tmp_path / "archive")
    assert archive.delete([*names, "responses/day=2026-03-01/never.parquet"]) == 2
    assert not (tmp_path / "archive" / "responses" / "day=2026-03-01").exists()
    assert archive.delete(names) == 0
