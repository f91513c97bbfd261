"""The tests' server in memory: none is left there, and none is taken from another run."""

from pathlib import Path

import pytest

from calibration_pipeline_tests import server_folder as module
from calibration_pipeline_tests.server_folder import server_folder


@pytest.fixture(autouse=True)
def _enough_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NEEDED_BYTES", 1)


def test_the_folder_is_in_memory_and_gone_afterwards(tmp_path: Path) -> None:
    with server_folder(tmp_path / "disk", tmp_path) as folder:
        assert folder.parent == tmp_path
        (folder / "data").touch()
    assert list(tmp_path.iterdir()) == []


def test_without_room_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NEEDED_BYTES", 1 << 60)
    with server_folder(tmp_path / "disk", tmp_path) as folder:
        assert folder == tmp_path / "disk"
    with server_folder(tmp_path / "disk", tmp_path / "no such file system") as folder:
        assert folder == tmp_path / "disk"


def test_what_a_killed_run_left_is_removed_and_what_another_run_holds_is_not(
    tmp_path: Path,
) -> None:
    with server_folder(tmp_path / "disk", tmp_path) as held:
        left = tmp_path / f"{held.name}-of-a-killed-run"
        (left / "home").mkdir(parents=True)
        strangers = tmp_path / "something else"
        strangers.mkdir()
        with server_folder(tmp_path / "disk", tmp_path) as own:
            assert set(tmp_path.iterdir()) == {held, own, strangers}
