"""Shards beside the archive: private, and gone with the night."""

from datetime import UTC, datetime
from pathlib import Path

from calibration_pipeline.store.shard_files import ShardFiles


def test_shards_are_for_their_owner_alone(tmp_path):
    files = ShardFiles(str(tmp_path))
    files.write("0001-0-1", [b"x", memoryview(b"y")])
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert files.read("0001-0-1") == b"xy"


def test_shards_that_cannot_be_removed_are_left_for_a_later_night(tmp_path, monkeypatch):
    files = ShardFiles(str(tmp_path))
    files.write("0001-0-1", [b"x"])

    def refuse(self: Path) -> None:
        raise PermissionError(13, "no", str(self))

    monkeypatch.setattr(Path, "unlink", refuse)
    files.remove(["0001-0-1"])
    files.close()


def test_what_a_killed_night_left_is_removed_by_a_later_one(tmp_path):
    for name in ("20200101T000000-aaaa", f"{datetime.now(UTC):%Y%m%dT%H%M%S}-bbbb", "other"):
        (tmp_path / "shards" / name).mkdir(parents=True)
        (tmp_path / "shards" / name / "0001-0-1").write_bytes(b"x")
    files = ShardFiles(str(tmp_path))
    files.write("0001-0-1", [b"y"])
    files.close()
    left = sorted(path.name.partition("-")[2] or path.name for path in tmp_path.glob("shards/*"))
    assert left == ["bbbb", "other"]
