"""Which files a night reads, and what is remembered of the others."""

from pathlib import Path
from typing import Any

import pytest

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.sources.base import EMPTY
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.files import reader as files_module
from calibration_pipeline.store.sources.files.reader import FilesReader
from calibration_pipeline_tests.store.sources.written_files import (
    BOUNDS,
    HEADER,
    KNOWN,
    NOON,
    reader,
    rows,
    settle,
    write,
)


@pytest.fixture
def files_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose rows are read, as they are."""
    found: list[str] = []
    original = files_module.read_text

    def noting(file: Any, columns: Any) -> Any:
        found.append(file.name)
        return original(file, columns)

    monkeypatch.setattr(files_module, "read_text", noting)
    return found


def test_a_night_reads_the_files_of_its_day_alone(tmp_path: Path, files_read: list[str]) -> None:
    folder = tmp_path / "answers"
    for day in (9, 10, 11):
        write(folder / f"day=2026-03-{day:02}/a.csv", [f"ann,i1,1,2026-03-{day:02}T08:00:00Z"])
    catalogue = tmp_path / "home/files.json"
    with reader(folder, catalogue).view("") as view:
        before = view.fingerprints(BOUNDS, KNOWN)
    assert len(files_read) == 3
    assert catalogue.stat().st_mode & 0o777 == 0o600
    assert "ann" not in catalogue.read_text()
    files_read.clear()
    with reader(folder, catalogue).view("") as view:
        assert view.fingerprints(BOUNDS, KNOWN) == before
        assert len(rows(view, BOUNDS[1:3])) == 1
    assert files_read == ["day=2026-03-10/a.csv"]


def test_files_that_changed_came_or_went(tmp_path: Path, files_read: list[str]) -> None:
    folder, catalogue = tmp_path / "answers", tmp_path / "files.json"
    one = write(folder / "one.csv", [f"ann,i1,1,{NOON}"])
    two = write(folder / "two.csv", ["bob,i1,1,2026-03-11T08:00:00Z"])
    source = reader(folder, catalogue)

    def look() -> list[Any]:
        files_read.clear()
        with source.view("") as view, reader(folder, catalogue).view("") as other:
            found = view.fingerprints(BOUNDS, KNOWN)
            assert found == other.fingerprints(BOUNDS, KNOWN)
        return found

    first = look()
    assert first[0] == EMPTY
    assert [each.row_count for each in first] == [0, 1, 1]
    write(one, [f"ann,i1,0,{NOON}"])  # of the same size
    settle(one, 1)
    changed = look()
    assert files_read == ["one.csv"]
    assert [a == b for a, b in zip(first, changed, strict=True)] == [True, False, True]
    write(folder / "three.csv", ["bob,i1,1,2026-03-11T08:00:00Z"])
    assert [each.row_count for each in look()] == [0, 1, 2]
    assert files_read == ["three.csv"]
    two.unlink()
    (folder / "three.csv").rename(folder / "four.csv")
    assert look() == changed  # which file a row is in makes no difference


def test_a_file_of_this_moment_is_read_again(tmp_path: Path, files_read: list[str]) -> None:
    path = write(tmp_path / "a.csv", [f"ann,i1,1,{NOON}"])
    modified = path.stat().st_mtime_ns
    clock = iter([modified + 10**9, modified + 10**9, modified + 3 * 10**9, 0])
    configuration = SourceConfiguration(kind="files", path=path)
    source = FilesReader(configuration, tmp_path / "files.json", lambda: next(clock))
    for expected in (1, 2, 3, 3):
        with source.view(""):
            assert len(files_read) == expected


@pytest.mark.parametrize("damage", ["cut", "changed", "not JSON", "not text", "another format"])
def test_a_damaged_catalogue_is_made_again(
    tmp_path: Path, files_read: list[str], damage: str
) -> None:
    path = write(tmp_path / "a.csv", [f"ann,i1,1,{NOON}"])
    catalogue = tmp_path / "files.json"
    with reader(path, catalogue).view("") as view:
        before = view.fingerprints(BOUNDS, KNOWN)
    whole = catalogue.read_bytes()
    head, _ = whole.split(b"\n")
    catalogue.write_bytes(
        {
            "cut": whole[:-20],
            "changed": whole.replace(b'"i1"', b'"i2"'),
            "not JSON": b"[",
            "not text": b"\xff\n",
            "another format": head + b"\n{}",
        }[damage]
    )
    with reader(path, catalogue).view("") as view:
        assert view.fingerprints(BOUNDS, KNOWN) == before
    assert len(files_read) == 2
    assert catalogue.read_bytes() == whole


def test_other_settings_make_the_catalogue_anew(tmp_path: Path, files_read: list[str]) -> None:
    path = write(tmp_path / "a.csv", ["ann,i1,1,2026-03-10T00:30:00"])
    catalogue = tmp_path / "files.json"
    with reader(path, catalogue).view("") as view:
        assert [each.row_count for each in view.fingerprints(BOUNDS, KNOWN)] == [0, 1, 0]
    with reader(path, catalogue, naive_timezone="Europe/Zurich").view("") as view:
        assert [each.row_count for each in view.fingerprints(BOUNDS, KNOWN)] == [1, 0, 0]
    assert len(files_read) == 2


def test_a_dry_run_writes_nothing(tmp_path: Path, files_read: list[str]) -> None:
    folder = tmp_path / "answers"
    write(folder / "a.csv", [f"ann,i1,1,{NOON}"])
    before = sorted(tmp_path.rglob("*"))
    source = reader(folder)
    for _ in range(2):
        with source.view("") as view:
            assert len(rows(view)) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert files_read == ["a.csv"] * 3  # once for what is in it, and for each stream


def test_a_catalogue_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [f"ann,i1,1,{NOON}"])
    source = reader(path, path / "files.json")
    for _ in range(2):
        with source.view("") as view:
            assert len(rows(view)) == 1
    (warning,) = source.warnings
    assert "can't be made" in warning


def test_a_row_without_a_readable_time_lies_where_its_session_began(tmp_path: Path) -> None:
    folder, catalogue = tmp_path / "answers", tmp_path / "files.json"
    header = f"{HEADER},session_id,session_started_at"
    start = "2026-03-10T23:50:00Z"
    write(folder / "a.csv", [f"ann,i1,1,2026-03-11T00:10:00Z,s1,{start}"], header)
    write(folder / "b.csv", [f"bob,i1,1,half past,s2,{start}"], header)
    with reader(folder, catalogue).view("") as view:
        assert [each.row_count for each in view.fingerprints(BOUNDS, KNOWN)] == [0, 1, 1]
        dated = [(row["candidate_id"], row["dated_at"]) for row in rows(view, BOUNDS[1:4])]
    assert dated == [("ann", None), ("bob", "2026-03-10T23:50:00.000000+00:00")]


def test_where_one_file_is_damaged_the_others_are_remembered(
    tmp_path: Path, files_read: list[str]
) -> None:
    folder, catalogue = tmp_path / "answers", tmp_path / "files.json"
    write(folder / "a.csv", [f"ann,i1,1,{NOON}"])
    bad = write(folder / "b.csv", [f"ann,i1,1,{NOON}"] * 100_000 + ["x"])
    for _ in range(2):
        with pytest.raises(SourceError, match=r"b\.csv"), reader(folder, catalogue).view(""):
            pass
    bad.unlink()
    with reader(folder, catalogue).view(""):
        pass
    assert files_read == ["a.csv", "b.csv", "b.csv"]
