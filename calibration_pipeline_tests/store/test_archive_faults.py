"""An object store that can't be reached, hangs or loses an upload: one line, nothing half there."""

import os
import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from calibration_pipeline.errors import (
    ArchiveUnavailableError,
    ArchiveWriteError,
    BadInputError,
    CalibrationError,
    DiskFullError,
)
from calibration_pipeline.orchestration.retries import is_passing
from calibration_pipeline.store import archive_objects, archive_opening
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.archive_format import ARCHIVE_SCHEMA
from calibration_pipeline.store.archive_objects import reason_of
from calibration_pipeline.store.archive_opening import open_archive
from calibration_pipeline_tests.store.object_stores import Wire, s3_archive, s3_server, s3_wire
from calibration_pipeline_tests.store.test_archive_format import ROW
from calibration_pipeline_tests.store.test_archive_locations import write

__all__ = ["s3_archive", "s3_server", "s3_wire"]


@pytest.fixture
def archive(s3_archive: str, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """One whose library doesn't try as often as it would with a distant server."""
    import s3fs

    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    return open_archive(s3_archive)


@pytest.fixture
def large() -> pa.Table:
    texts = [os.urandom(30).hex() for _ in range(5_000)]
    return pa.Table.from_pylist([ROW | {"item_id": text} for text in texts], ARCHIVE_SCHEMA)


def test_a_server_that_is_away_is_no_missing_file(archive: Archive, s3_wire: Wire) -> None:
    """Otherwise every day would be extracted again, or passed over as lost."""
    name, _ = write(archive)
    s3_wire.is_refusing = True
    for ask in (
        lambda: archive.exists(name),
        lambda: archive.present([name]),
        lambda: archive.orphans(set()),
        lambda: archive.read(name),
        lambda: archive.delete([name]),
    ):
        with pytest.raises(ArchiveUnavailableError, match="nothing was calibrated") as refusal:
            ask()
        assert "\n" not in str(refusal.value)
        assert is_passing(refusal.value)
    s3_wire.mend()
    assert archive.read(name).num_rows == 1


def test_a_server_that_goes_away_while_a_file_is_read_damages_nothing(
    archive: Archive, s3_wire: Wire
) -> None:
    name, _ = write(archive)
    with archive.location.open(name) as file:
        s3_wire.is_refusing = True
        with pytest.raises(ArchiveUnavailableError):
            file.read()


def test_a_refused_upload_is_one_line_and_passes(archive: Archive, s3_wire: Wire) -> None:
    s3_wire.is_refusing = True
    with pytest.raises(ArchiveWriteError, match="nothing was recorded") as refusal:
        write(archive)
    assert "\n" not in str(refusal.value)
    assert is_passing(refusal.value)
    s3_wire.mend()
    assert archive.location.names() == []


@pytest.mark.parametrize("fault", ["cut", "silent"])
def test_an_upload_that_is_lost_in_the_middle_leaves_nothing(
    archive: Archive,
    s3_wire: Wire,
    large: pa.Table,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    with monkeypatch.context() as impatient:
        if fault == "cut":
            s3_wire.cut_after = 100_000
        else:
            s3_wire.is_silent = True
            impatient.setattr(archive_objects, "_PATIENCE_SECONDS", 0.5)
        with pytest.raises(ArchiveWriteError, match="can't be written"):
            write(archive, rows=large)
    s3_wire.mend()
    # The rows that were left out may have arrived; without a row of the database it is a leftover.
    assert not [name for name in archive.location.names() if "quarantine" not in name]
    assert archive.orphans(set(), age=None) == archive.location.names()
    name, _ = write(archive, rows=large)
    assert archive.read(name).num_rows == large.num_rows


def test_a_bucket_that_isnt_there_is_named(s3_wire: Wire) -> None:
    archive = open_archive("s3://no-such-bucket/nights")
    with pytest.raises(ArchiveWriteError, match=r"s3://no-such-bucket/nights can't be written"):
        write(archive)
    with pytest.raises(ArchiveWriteError, match="no-such-bucket"):
        archive.location.try_out()


def test_without_credentials_the_environment_is_named(
    s3_wire: Wire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(ArchiveWriteError, match="credentials in the environment"):
        write(open_archive("s3://calibration-tests/nights"))


def test_the_disk_that_files_are_written_to_first_needs_room(s3_archive: str) -> None:
    with pytest.raises(DiskFullError, match=r"temporary folder.*TMPDIR"):
        open_archive(s3_archive, 2**60).require_room()


def test_an_archive_can_be_sent_to_another_process(s3_archive: str) -> None:
    name, _ = write(open_archive(s3_archive))
    sent = pickle.loads(pickle.dumps(open_archive(s3_archive)))  # noqa: S301 - our own
    assert sent.read(name).num_rows == 1


@pytest.mark.parametrize("place", ["memory://nights", "https://host/nights", "nonsense://nights"])
def test_places_that_keep_nothing_are_refused(place: str) -> None:
    with pytest.raises(BadInputError, match="name a folder"):
        open_archive(place)


@pytest.mark.parametrize(
    ("scheme", "what"), [("s3", r"calibration-pipeline\[s3\]"), ("gs", r"\[gcs\]"), ("x", "x://")]
)
def test_a_missing_package_is_one_line(
    monkeypatch: pytest.MonkeyPatch, scheme: str, what: str
) -> None:
    def missing(_: str) -> None:
        raise ImportError

    monkeypatch.setattr("fsspec.get_filesystem_class", missing)
    with pytest.raises(BadInputError, match=f"isn't installed: pip install .*{what}"):
        archive_opening.open_archive(f"{scheme}://bucket/nights")


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    archive = open_archive(f"file://{tmp_path}/archive")
    name, _ = write(archive)
    assert (tmp_path / "archive" / name).stat().st_mode & 0o077 == 0


def test_a_reason_holds_no_password() -> None:
    said = reason_of(OSError("can't connect to http://me:hunter2@store:9000/bucket\nand more"))
    assert said == "can't connect to http://store:9000/bucket"
    assert reason_of(CalibrationError()) == "CalibrationError"
