"""What every place for an archive has to do: a folder, memory, and a bucket of a real S3 server."""

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from calibration_pipeline.errors import (
    ArchiveUnavailableError,
    ArchiveWriteError,
    NightBlockedError,
)
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.archive_folder import ArchiveFolder
from calibration_pipeline.store.archive_format import ARCHIVE_SCHEMA, QUARANTINE_SCHEMA
from calibration_pipeline.store.archive_location import ArchiveLocation
from calibration_pipeline.store.archive_objects import ArchiveObjects
from calibration_pipeline.store.archive_opening import open_archive
from calibration_pipeline.store.backup_files import BackupFile, describe
from calibration_pipeline_tests.store.object_stores import s3_archive, s3_server, s3_wire
from calibration_pipeline_tests.store.test_archive_format import ROW

__all__ = ["s3_archive", "s3_server", "s3_wire"]

DAY = date(2026, 3, 1)
ROWS = pa.Table.from_pylist([ROW], schema=ARCHIVE_SCHEMA)
LEFT_OUT = pa.Table.from_pylist([ROW | {"reason": "null_score"}], schema=QUARANTINE_SCHEMA)


# The faults' tests use the server in every run.
@pytest.fixture(params=["folder", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArchiveLocation]:
    if request.param == "folder":
        yield ArchiveFolder(tmp_path / "archive")
    elif request.param == "memory":
        files = fsspec.filesystem("memory", skip_instance_cache=True, use_listings_cache=False)
        root = f"/{uuid.uuid4().hex}"
        yield ArchiveObjects(files, root, f"memory:/{root}")
        if files.exists(root):
            files.rm(root, recursive=True)
    else:
        yield open_archive(request.getfixturevalue("s3_archive")).location


@pytest.fixture
def archive(location: ArchiveLocation) -> Archive:
    return Archive(location)


def write(archive: Archive, revision: int = 1, rows: pa.Table = ROWS) -> tuple[str, str | None]:
    with archive.write_day(DAY) as writer:
        writer.write(rows)
        writer.write_quarantine(LEFT_OUT)
        return writer.commit(revision)


def test_what_was_written_is_read_back(archive: Archive) -> None:
    name, quarantine = write(archive)
    assert quarantine is not None
    assert archive.read(name).select(ROWS.schema.names).cast(ARCHIVE_SCHEMA).equals(ROWS)
    assert archive.read(name, ["score"])["score"].to_pylist() == [1]
    assert archive.read(quarantine)["reason"].to_pylist() == ["null_score"]
    assert archive.location.names() == sorted([name, quarantine])
    assert archive.location.names("responses/day=2026-03-01") == sorted([name, quarantine])
    assert archive.location.names("responses/day=2026-03-02") == []
    assert name.startswith("responses/day=2026-03-01/revision-0001-")
    assert name.endswith(".parquet")
    assert quarantine.endswith(".quarantine.parquet")


def test_nothing_is_seen_before_it_is_complete(archive: Archive) -> None:
    with archive.write_day(DAY) as writer:
        writer.write(ROWS)
        assert not [name for name in archive.location.names() if name.endswith(".parquet")]
    assert archive.location.names() == []


def test_a_day_that_failed_leaves_nothing(archive: Archive) -> None:
    def fail() -> None:
        with archive.write_day(DAY) as writer:
            writer.write(ROWS)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert archive.location.names() == []


def test_the_same_day_again_is_the_same_files(archive: Archive) -> None:
    assert write(archive) == write(archive)
    assert len(archive.location.names()) == 2


def test_revisions_lie_beside_each_other(archive: Archive) -> None:
    first, second = write(archive), write(archive, 2)
    assert not set(first) & set(second)
    assert len(archive.location.names()) == 4


def test_lost_files_come_back_under_their_recorded_names(archive: Archive) -> None:
    """Names may be those of another kind of place, from which the archive was moved."""
    recorded = "responses/day=2026-03-01/revision-0001-as-recorded.parquet"
    for quarantine in (recorded.replace(".parquet", ".quarantine.parquet"), None):
        with archive.write_day(DAY) as writer:
            writer.write(ROWS)
            writer.write_quarantine(LEFT_OUT)
            writer.commit_again(recorded, quarantine)
    assert archive.read(recorded).num_rows == 1
    assert len(archive.location.names()) == 2


def test_what_is_there_is_known(archive: Archive) -> None:
    name, _ = write(archive)
    assert archive.exists(name)
    assert not archive.exists("responses/day=2026-03-01/never.parquet")
    assert archive.present(["never", name, "responses"][:2]) == [name]
    assert archive.present([]) == []


def test_deleting_goes_on_where_it_was_stopped(archive: Archive) -> None:
    names = [name for name in write(archive) if name]
    assert archive.delete([*names, "responses/day=2026-03-01/never.parquet"]) == 2
    assert archive.location.names() == []
    assert archive.delete(names) == 0


def test_leftovers_are_those_without_a_record(archive: Archive) -> None:
    name, quarantine = write(archive)
    assert archive.orphans({name}, age=None) == [quarantine]
    assert archive.orphans({name}) == []
    assert archive.orphans({name, quarantine}, age=None) == []


def test_a_leftover_has_an_age(archive: Archive) -> None:
    name, _ = write(archive)
    assert abs(archive.location.modified(name) - time.time()) < 60
    assert archive.orphans(set(), age=timedelta(days=-1)) == archive.location.names()


def test_a_missing_or_damaged_file_is_named(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(NightBlockedError, match=r"gone.parquet can't be read.*backup"):
        archive.read("gone.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and then nothing")
    archive.location.place(tmp_path, [describe(tmp_path, "bad.parquet")])
    with pytest.raises(NightBlockedError, match=r"bad.parquet can't be read"):
        archive.read("bad.parquet")


def test_a_backup_is_placed_and_taken_back(archive: Archive, tmp_path: Path) -> None:
    files = _in_a_folder(tmp_path / "backup")
    archive.location.place(tmp_path / "backup", files)
    assert archive.location.names() == [file.name for file in files]
    with archive.location.open(files[0].name) as found:
        assert found.read() == b"content 0"
    archive.location.clear(files)
    assert archive.location.names() == []


def test_a_backup_is_placed_whole_or_not_at_all(archive: Archive, tmp_path: Path) -> None:
    files = _in_a_folder(tmp_path / "backup")
    (tmp_path / "backup" / files[-1].name).unlink()
    with pytest.raises(FileNotFoundError):
        archive.location.place(tmp_path / "backup", files)
    assert archive.location.names() == []


def _in_a_folder(folder: Path) -> list[BackupFile]:
    (folder / "responses").mkdir(parents=True)
    names = [f"responses/{number}.parquet" for number in range(3)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(f"content {number}".encode())
    return [describe(folder, name) for name in names]


def test_trying_out_leaves_nothing(archive: Archive) -> None:
    archive.location.try_out()
    assert archive.location.names() == []


@pytest.fixture
def objects() -> ArchiveObjects:
    files = fsspec.filesystem("memory", skip_instance_cache=True, use_listings_cache=False)
    return ArchiveObjects(files, f"/{uuid.uuid4().hex}", "memory://a-test")


def test_other_bytes_have_another_key(objects: ArchiveObjects) -> None:
    """So a late upload of a run that was given up can't take the place of another's."""
    archive = Archive(objects)
    names = set()
    for answer in (b"a", b"b"):
        row = ROW | {"candidate_pseudonym": answer * 16}
        names.add(write(archive, rows=pa.Table.from_pylist([row], ARCHIVE_SCHEMA))[0])
    assert len(names) == 2
    assert len({name[: len(name) - len("-0123456789abcdef.parquet")] for name in names}) == 1


def test_a_store_that_refuses_is_no_missing_file(
    objects: ArchiveObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fsspec gives for `exists` would be a no."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("Forbidden")

    monkeypatch.setattr(objects._files, "info", refuse)
    with pytest.raises(ArchiveUnavailableError, match="Forbidden"):
        objects.exists("responses/day=2026-03-01/revision-0001.parquet")


def test_an_upload_that_lost_bytes_is_noticed(
    objects: ArchiveObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = objects._files

    def cut(path: str, key: str, **_: object) -> None:
        files.pipe_file(key, Path(path).read_bytes()[:-1])

    monkeypatch.setattr(files, "put_file", cut)
    with pytest.raises(ArchiveWriteError, match=r"has \d+ of the \d+ bytes"):
        write(Archive(objects))


@pytest.mark.parametrize(
    "says", [OSError("(NotImplemented) when calling PutObject"), NotImplementedError("no")]
)
def test_a_store_without_conditions_is_written_without_them(
    objects: ArchiveObjects, monkeypatch: pytest.MonkeyPatch, says: Exception
) -> None:
    put: Callable[..., None] = objects._files.put_file

    def without_conditions(path: str, key: str, mode: str = "overwrite") -> None:
        if mode == "create":
            raise says
        put(path, key)

    monkeypatch.setattr(objects._files, "put_file", without_conditions)
    name, _ = write(Archive(objects))
    assert Archive(objects).read(name).num_rows == 1
