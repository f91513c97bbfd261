"""docs/roles.md sets up a server as it says: every snippet is run, on a server of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from calibration_pipeline.errors import MissingPrivilegeError
from calibration_pipeline.interfaces.cli import main
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.privileges import ADMINISTRATOR, PIPELINE, READER, ROLES
from calibration_pipeline.store.roles import create_roles
from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.snippets import code_blocks, statements
from calibration_pipeline_tests.store.roles import engine_as

LOGINS = {
    "nightly": {PIPELINE},
    "engine": {READER},
    "data_lead": {PIPELINE, ADMINISTRATOR},
    "exams_owner": set(),
}
ANSWER = """
INSERT INTO calibration.response_log
    (session_id, candidate_id, item_id, score, answered_at, session_started_at)
VALUES ('s', 'c', 'i', 1, now(), now())
"""


REPORT = """
INSERT INTO calibration.item_proposals
    (report_id, day, version, item_id, content_version, proposed, given)
VALUES ('r', '2026-03-01', 1, 'i', 1, 2, 1) ON CONFLICT DO NOTHING
"""


@pytest.fixture(scope="module")
def exams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the page's database, set up from top to bottom. The shared server has roles."""
    folder = tmp_path_factory.mktemp("roles")
    server = EmbeddedServer(folder / "home")
    server.start()
    create_owner, commands, create_logins, grant = (text for _, text in code_blocks("roles.md"))
    postgres, exams = server.url("postgres"), server.url("exams")
    try:
        run(postgres, create_owner)
        run(postgres, "ALTER DATABASE exams SET role = exams_owner")  # who logs in there from now
        with pytest.MonkeyPatch.context() as patched:
            for name in os.environ:
                if name.startswith("CALIBRATION_"):
                    patched.delenv(name)
            patched.setenv("CALIBRATION_DATABASE_URL", exams)
            patched.setenv("CALIBRATION_HOME", str(folder / "commands"))
            for command in commands.splitlines():
                result = CliRunner().invoke(main, command.split()[1:])
                assert result.exit_code == 0, result.output
        run(postgres, create_logins)
        run(exams, grant)
        yield exams
    finally:
        server.remove()


def run(url: str, block: str) -> None:
    with connect(url) as connection:
        for statement in statements(block):
            connection.execute(statement)  # type: ignore[call-overload]


def test_each_login_has_its_roles(exams: str) -> None:
    query = """
        SELECT m.rolname, r.rolname FROM pg_roles AS m, pg_roles AS r
        WHERE m.rolname = ANY(%s) AND r.rolname = ANY(%s) AND pg_has_role(m.oid, r.oid, 'USAGE')
    """
    with connect(exams) as connection:
        found = connection.execute(query, [list(LOGINS), list(ROLES)]).fetchall()
    assert {login: {r for m, r in found if m == login} for login in LOGINS} == LOGINS


def test_dagster_may_create_its_tables_where_the_page_puts_them(exams: str) -> None:
    url = exams.replace("/exams?", "/exams_dagster?")
    with engine_as(url, "nightly") as engine, engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE runs (i int)"))
    with (
        engine_as(exams, "nightly") as engine,
        pytest.raises(MissingPrivilegeError),
        engine.begin() as connection,
    ):
        connection.execute(sa.text("CREATE TABLE public.runs (i int)"))


def test_an_engine_that_was_told_to_logs_answers_and_reads_none(exams: str) -> None:
    with engine_as(exams, "engine") as engine:
        with engine.begin() as connection:
            connection.execute(sa.text(ANSWER))
            connection.execute(sa.text("SELECT * FROM calibration.current_items"))
        with pytest.raises(MissingPrivilegeError), engine.begin() as connection:
            connection.execute(sa.text("SELECT * FROM calibration.response_log"))


def test_an_engine_that_was_told_to_may_report_and_not_read_reports(exams: str) -> None:
    with engine_as(exams, "engine") as engine:
        with pytest.raises(sa.exc.IntegrityError, match="item_proposals"), engine.begin() as own:
            own.execute(sa.text(REPORT))  # of a version that there isn't
        with pytest.raises(MissingPrivilegeError), engine.begin() as own:
            own.execute(sa.text("SELECT * FROM calibration.item_proposals"))


def test_the_grant_to_a_login_outlasts_a_renewal(exams: str) -> None:
    with engine_as(exams, "exams_owner") as owner:
        create_roles(owner)
    test_an_engine_that_was_told_to_logs_answers_and_reads_none(exams)


def test_a_missing_right_ends_in_the_line_that_the_page_shows(
    exams: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Here `calibrate status`, by a test engine's login."""
    postgres = exams.replace("/exams?", "/postgres?")
    run(postgres, "ALTER DATABASE exams SET role = engine")
    for name in os.environ:
        if name.startswith("CALIBRATION_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CALIBRATION_DATABASE_URL", exams)
    monkeypatch.setenv("CALIBRATION_HOME", str(tmp_path))
    result = CliRunner().invoke(main, ["status"])
    run(postgres, "ALTER DATABASE exams SET role = exams_owner")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "may not do that (permission denied for table" in result.stderr
    assert "the role calibration_pipeline or calibration_administrator" in result.stderr
