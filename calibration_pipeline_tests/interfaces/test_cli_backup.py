"""`calibrate db backup` and `calibrate db restore`, on embedded servers of their own."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.embedded_account import server_account
from calibration_pipeline.store.embedded_binaries import program_folder
from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.interfaces.conftest import Calibrate

BANK = "item_id,discrimination,difficulty,guessing\ni1,1.0,0.5,0.2\n"
RUN = "SELECT count(*) FROM public.runs"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """The home folder that the command line uses; its server is gone afterwards."""
    yield tmp_path / "home"
    EmbeddedServer(tmp_path / "home").remove()


def the_line(result: Result) -> str:
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_an_embedded_programme_moves_with_its_dagster_tables_and_without_its_key(
    calibrate: Calibrate, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "bank.csv").write_text(BANK)
    assert calibrate("migrate").exit_code == 0
    assert calibrate("import-bank", tmp_path / "bank.csv").exit_code == 0
    (home / "pseudonym.key").write_bytes(b"k" * 32)
    server = EmbeddedServer(home)
    with connect(server.dagster_url()) as connection:
        connection.execute("CREATE TABLE public.runs AS SELECT 7 AS run")
    saved = calibrate("db", "backup", "--out", tmp_path / "backups" / "one", "--json")
    assert saved.exit_code == 0, saved.output
    facts = json.loads(saved.stdout)
    assert (facts["files"], facts["newest_version"]) == (2, None)
    server.remove()
    shutil.rmtree(home)

    restored = calibrate("db", "restore", tmp_path / "backups" / "one")
    assert restored.exit_code == 0, restored.output
    assert f"Put the pseudonym key that belongs to this backup at {home}" in restored.stderr
    assert not (home / "pseudonym.key").exists()
    again = calibrate("import-bank", tmp_path / "bank.csv", "--json")
    assert json.loads(again.stdout)["items_unchanged"] == 1
    with connect(server.dagster_url()) as connection:
        assert connection.execute(RUN).fetchone() == (1,)


def test_a_damaged_backup_is_refused_before_a_server_is_made(
    calibrate: Calibrate, home: Path, tmp_path: Path
) -> None:
    calibrate("migrate")
    assert calibrate("db", "backup", "--out", tmp_path / "one").exit_code == 0
    EmbeddedServer(home).remove()
    shutil.rmtree(home)
    with (tmp_path / "one" / "calibration.dump").open("ab") as dump:
        dump.write(b"more")
    refused = calibrate("db", "restore", tmp_path / "one")
    assert refused.exit_code == 2
    assert "calibration.dump is damaged" in the_line(refused)
    assert not home.exists()


def test_a_restore_onto_dagsters_tables_is_refused_before_anything(
    calibrate: Calibrate, home: Path, tmp_path: Path
) -> None:
    calibrate("migrate")
    server = EmbeddedServer(home)
    assert calibrate("db", "backup", "--out", tmp_path / "one").exit_code == 0
    with connect(server.url()) as connection:
        connection.execute("DROP SCHEMA calibration CASCADE")
    with connect(server.dagster_url()) as connection:
        connection.execute("CREATE TABLE public.runs AS SELECT 7 AS run")
    refused = calibrate("db", "restore", tmp_path / "one")
    assert refused.exit_code == 1
    assert "holds tables of Dagster already" in the_line(refused)
    with connect(server.url()) as connection:
        found = connection.execute("SELECT to_regnamespace('calibration')").fetchone()
    assert found == (None,)


def test_a_failed_restore_of_dagsters_tables_takes_all_back(
    calibrate: Calibrate, home: Path, tmp_path: Path
) -> None:
    calibrate("migrate")
    server = EmbeddedServer(home)
    assert calibrate("db", "backup", "--out", tmp_path / "one").exit_code == 0
    with connect(server.url()) as connection:
        connection.execute("DROP SCHEMA calibration CASCADE")
    manifest = json.loads((tmp_path / "one" / "manifest.json").read_text())
    entry = next(file for file in manifest["files"] if file["name"] == "dagster.dump")
    (tmp_path / "one" / "dagster.dump").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    entry.update(size=0, sha256=empty)
    (tmp_path / "one" / "manifest.json").write_text(json.dumps(manifest))
    failed = calibrate("db", "restore", tmp_path / "one")
    assert failed.exit_code == 1
    assert "pg_restore failed" in the_line(failed)
    with connect(server.url()) as connection:
        found = connection.execute("SELECT to_regnamespace('calibration')").fetchone()
    assert found == (None,)
    assert not (home / "archive").exists()


def test_an_operators_database_is_saved_alone_with_the_programs_on_the_path(
    on_database: Calibrate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(program_folder(server_account())))
    saved = on_database("db", "backup", "--out", tmp_path / "one")
    assert saved.exit_code == 0, saved.output
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "calibration.dump",
        "manifest.json",
    ]
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = on_database("db", "backup", "--out", tmp_path / "two")
    assert missing.exit_code == 1
    assert "pg_dump is not on the PATH" in the_line(missing)


def test_an_earlier_backup_is_no_place_for_another(on_database: Calibrate, tmp_path: Path) -> None:
    refused = on_database("db", "backup", "--out", tmp_path)
    assert refused.exit_code == 2
    assert "exists already" in the_line(refused)
