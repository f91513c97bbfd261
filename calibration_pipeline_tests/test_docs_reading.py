"""Every snippet of docs/reading-versions.md runs as it stands, under the reader's role."""

import json
import os
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from calibration_pipeline.interfaces.cli import main
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.exposure import write_exposure
from calibration_pipeline.store.privileges import READER
from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.programme import (
    LAST,
    NIGHTS,
    Programme,
    calibrated,
    calibrated_copy,
    loaded_template,
)
from calibration_pipeline_tests.snippets import code_blocks, statements
from calibration_pipeline_tests.store.examples import scale_exposure
from calibration_pipeline_tests.store.roles import log_in_as

__all__ = ["calibrated", "calibrated_copy", "loaded_template"]

BLOCKS = code_blocks("reading-versions.md")


@pytest.fixture
def url(calibrated_copy: Programme, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A calibrated database, entered with the reader's rights; the shell's folder and settings."""
    for version in (1, len(NIGHTS)):
        keys = [item.key for item in calibrated_copy.store().items_of(version)]
        example = scale_exposure(keys, cuts=())
        write_exposure(calibrated_copy.engine, version, example, found_by="a test")
    calibrated_copy.close()
    assert calibrated_copy.settings.database_url is not None
    url = calibrated_copy.settings.database_url.get_secret_value()
    log_in_as(url, READER)
    with connect(url) as connection:  # as docs/roles.md says for an engine that reports
        connection.execute("SET ROLE NONE")
        connection.execute(f"GRANT INSERT ON calibration.item_proposals TO {READER}")
    for name in os.environ:
        if name.startswith("CALIBRATION_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ENGINE_DATABASE_URL", url)
    monkeypatch.setenv("CALIBRATION_DATABASE_URL", url)
    monkeypatch.setenv("CALIBRATION_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return url


def test_the_python_runs_from_top_to_bottom(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    del url
    names: dict[str, object] = {}
    blocks = [text for language, text in BLOCKS if language == "python"]
    assert len(blocks) == 5
    for block in blocks:
        exec(compile(block, "reading-versions.md", "exec"), names)  # noqa: S102 - our own page
    printed = capsys.readouterr().out.splitlines()
    assert 0.0 < float(printed[1]) < 1.0
    attempt, probability = printed[-1].split()
    assert attempt == "1"
    assert 0.0 < float(probability) < 1.0
    assert names["session_version"] == len(NIGHTS)
    names["reader"].close()  # type: ignore[attr-defined]


def test_the_sql_finds_what_the_page_says(url: str) -> None:
    engine = open_engine(url)
    queries = [
        query for language, text in BLOCKS if language == "sql" for query in statements(text)
    ]
    with engine.begin() as connection:
        results = [connection.execute(sa.text(query)) for query in queries]
        current, numbered, by_alias, exposure, moves = (
            result.all() for result in results if result.returns_rows
        )
        assert connection.scalar(sa.text("SELECT current_user")) == READER
    engine.dispose()
    assert [(row.level, row.theta_above, row.theta_up_to) for row in exposure] == [
        (0, None, None)
    ] * 150
    assert reports(url) == [(1, exposure[0].item_id, 120, 31)]
    assert [tuple(row) for row in current] == [(len(NIGHTS),)]
    assert len(numbered) == len(by_alias) == 150
    assert {row.version for row in by_alias} == {len(NIGHTS)}
    assert moves[0].reason == f"published for {LAST}"
    assert [row.to_version for row in moves] == list(range(len(NIGHTS), 0, -1))


def reports(url: str) -> list[tuple[int, str, int, int]]:
    engine = open_engine(url)
    with engine.connect() as connection:
        connection.execute(sa.text("SET ROLE NONE"))
        query = "SELECT version, item_id, proposed, given FROM calibration.item_proposals"
        found = [tuple(row) for row in connection.execute(sa.text(query))]
    engine.dispose()
    return found


def test_the_commands_write_the_files(url: str, tmp_path: Path) -> None:
    del url
    commands = [text.splitlines() for language, text in BLOCKS if language == "sh"]
    for command in (line for lines in commands for line in lines):
        program, *arguments = command.split()
        assert program == "calibrate"
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "items.csv",
        "version-1.parquet",
        "version-1.json",
    }
    document = json.loads((tmp_path / "version-1.json").read_text())
    assert len(document["manifest"]["content_digest"]) == 64
