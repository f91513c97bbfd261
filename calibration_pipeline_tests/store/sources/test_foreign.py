"""The database of the answers: only ever read, and no password leaves the settings."""

import logging
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from calibration_pipeline.errors import SourceError, SourceUnavailableError
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.sql.foreign import ForeignDatabase, reading
from calibration_pipeline.store.sources.sql.foreign_errors import connection_error
from calibration_pipeline.store.sources.sql.student_attempts import StudentAttemptsReader
from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.store.sources.source_database import (
    FAR_AHEAD,
    LONG_AGO,
    execute,
    read,
    reader_url,
    rows_of,
)

PASSWORD = "pä55 w/or:d@%41'\"\\#?=&"  # noqa: S105
COLUMNS = "student_id text, item_id text, correct boolean, created_at timestamptz"
NOW = sql.SQL("SELECT {}")


def configured(url: str | None, **changes: object) -> SourceConfiguration:
    return SourceConfiguration(**{"kind": "student_attempts", "database_url": url, **changes})


def failure(configuration: SourceConfiguration, caplog: pytest.LogCaptureFixture) -> SourceError:
    """The error of opening a source; the password is nowhere near it."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SourceError) as caught:
        read(StudentAttemptsReader(configuration))
    error = caught.value
    told = "".join(traceback.format_exception(error)) + repr(error) + caplog.text
    told += repr(configuration) + repr(caught)
    for secret in (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD, safe=" +"), "hunter2"):
        assert secret not in told
    assert len(str(error).splitlines()) == 1
    return error


@pytest.fixture(scope="module")
def password_url(source_url: str) -> Iterator[URL]:
    """A login that needs a password; the server's rule for it is taken back afterwards."""
    with connect(source_url) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE guarded LOGIN PASSWORD {}").format(sql.Literal(PASSWORD))
        )
        ((file,),) = connection.execute("SHOW hba_file").fetchall()
        rules = Path(file).read_text()
        Path(file).write_text(f"local all guarded scram-sha-256\n{rules}")
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield make_url(source_url).set(username="guarded", password=PASSWORD)
        finally:
            Path(file).write_text(rules)
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("DROP ROLE guarded")


def spelled(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def test_a_password_of_special_characters(
    password_url: URL, caplog: pytest.LogCaptureFixture
) -> None:
    with reading(configured(spelled(password_url)), "") as database:
        found = database.rows(NOW.format(sql.SQL("current_user::text")), "the login")
        assert found == [("guarded",)]
        assert PASSWORD not in repr(database)
    error = failure(configured(spelled(password_url)), caplog)
    assert "student_attempts" in str(error)
    assert "***" in str(error)


def test_a_wrong_password(password_url: URL, caplog: pytest.LogCaptureFixture) -> None:
    wrong = spelled(password_url).replace(quote(PASSWORD, safe=" +"), "hunter2")
    assert "hunter2" in wrong
    error = failure(configured(wrong), caplog)
    assert not isinstance(error, SourceUnavailableError)
    assert "password authentication failed" in str(error)
    assert "correct CALIBRATION_SOURCE__DATABASE_URL" in str(error)


def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:  # bound, and not listening: nobody else can
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        url = URL.create("postgresql", "ann", PASSWORD, "127.0.0.1", port, "learning")
        error = failure(configured(spelled(url)), caplog)
    assert isinstance(error, SourceUnavailableError)
    assert "CALIBRATION_SOURCE__DATABASE_URL" in str(error)
    assert "ann:***@127.0.0.1" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hunter2@/learning?host=/nowhere/at/all",
        "postgresql://ann@/learning?host=/nowhere&password=hunter2",
        "postgresql://ann@/learning?host=/nowhere&sslpassword=hunter2",
        "postgresql://ann:hunter2@/learning?host=/nowhere&sslmode=sure",
        "postgresql://ann:hunter2@/learning?host=/nowhere&no_such_option=1",
        "postgresql://ann:hunter2%00@/learning?host=/nowhere",
        "postgresql://ann:hunter2@host/a@b",
        "postgresql://ann:hunter2@:x/db",
        "mysql://ann:hunter2@host/learning",
        "postgresql://ann:hunter2@host",
        "hunter2",
    ],
)
def test_a_url_that_cannot_be_used(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert "CALIBRATION_SOURCE__DATABASE_URL" in str(failure(configured(url), caplog))


def test_a_drivers_text_that_repeats_the_password_is_not_told() -> None:
    said = psycopg.OperationalError('missing "=" after "hunter2" in connection info string')
    told = str(connection_error(said, "postgresql://ann:***@host/learning", ["hunter2"]))
    assert "hunter2" not in told
    assert "ann:***@host" in told


def test_a_database_that_does_not_exist(source_url: str, caplog: pytest.LogCaptureFixture) -> None:
    missing = spelled(make_url(source_url).set(database="nowhere"))
    error = failure(configured(missing), caplog)
    assert not isinstance(error, SourceUnavailableError)
    assert 'database "nowhere" does not exist' in str(error)


def test_the_store_is_read_where_no_other_database_is_named(database_url: str) -> None:
    execute(database_url, f"CREATE TABLE student_attempts ({COLUMNS})")
    with StudentAttemptsReader(configured(None)).view(database_url) as view:
        assert rows_of(view) == []


def test_the_transaction_is_read_only_and_of_one_moment(source_url: str) -> None:
    execute(source_url, "DROP TABLE IF EXISTS log; CREATE TABLE log (n integer)")
    # The login's own settings don't matter.
    loose = make_url(source_url).update_query_dict(
        {"options": "-cdefault_transaction_read_only=off -cTimeZone=Asia/Tokyo -cDateStyle=German"}
    )
    configuration = configured(spelled(loose), statement_timeout_seconds=77)
    count = sql.SQL("SELECT count(*)::integer FROM {}").format(sql.Identifier("log"))
    with reading(configuration, "") as database:
        settings = ("transaction_read_only", "transaction_isolation", "statement_timeout")
        shown = [sql.SQL("current_setting({})").format(sql.Literal(each)) for each in settings]
        found = database.rows(NOW.format(sql.SQL(", ").join(shown)), "settings")
        assert found == [("on", "repeatable read", "77s")]
        assert database.rows(count, "log") == [(0,)]
        execute(source_url, "INSERT INTO log VALUES (1)")
        assert database.rows(count, "log") == [(0,)]
        moment = sql.Literal("2026-03-10 10:00Z")
        text = database.rows(NOW.format(sql.SQL("{}::timestamptz::text").format(moment)), "time")
        assert text == [("2026-03-10 10:00:00+00",)]
    with connect(source_url) as connection:
        assert connection.execute("SELECT n FROM log").fetchall() == [(1,)]


_WRITES = """
CREATE TABLE canary (n integer);
CREATE FUNCTION peck() RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    {first}
    INSERT INTO canary VALUES (1);
    RETURN 'c';
END $$;
CREATE VIEW student_attempts AS SELECT peck() AS student_id, 'i1' AS item_id, true AS correct,
    timestamptz '2026-03-10 10:00Z' AS created_at
"""


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ("", "writes when it is read"),
        ("PERFORM set_config('transaction_read_only', 'off', true);", "read-write mode"),
    ],
)
def test_a_view_that_writes_is_refused(database_url: str, first: str, told: str) -> None:
    execute(database_url, _WRITES.replace("{first}", first))
    with pytest.raises(SourceError, match=told) as caught:
        read(StudentAttemptsReader(configured(reader_url(database_url))))
    assert not isinstance(caught.value, SourceUnavailableError)
    with connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM canary").fetchall() == [(0,)]


def slow_view(url: str) -> None:
    execute(
        url,
        "CREATE VIEW student_attempts AS SELECT 'c' || pg_sleep(20)::text AS student_id,"
        " 'i1' AS item_id, true AS correct, timestamptz '2026-03-10 10:00Z' AS created_at"
        " FROM generate_series(1, 3)",
    )


def test_a_statement_that_takes_too_long(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    slow_view(database_url)
    error = failure(configured(database_url, statement_timeout_seconds=1), caplog)
    assert isinstance(error, SourceUnavailableError)
    assert "statement timeout; the limit is 1 seconds" in str(error)
    assert "CALIBRATION_SOURCE__STATEMENT_TIMEOUT_SECONDS" in str(error)


def test_a_connection_that_is_cut(database_url: str) -> None:
    execute(
        database_url,
        f"CREATE TABLE student_attempts ({COLUMNS})",
        "INSERT INTO student_attempts SELECT n::text, 'i1', true, '2026-03-10 10:00Z'"
        " FROM generate_series(1, 300000) AS n",
    )
    with StudentAttemptsReader(configured(database_url)).view("") as view:
        rows = view.stream(LONG_AGO, FAR_AHEAD, block_bytes=1000)
        next(rows)
        with connect(database_url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with pytest.raises(SourceUnavailableError, match="was lost") as caught:
            list(rows)
        with pytest.raises(SourceUnavailableError, match="was lost"):
            view.undated_rows()
    assert len(str(caught.value).splitlines()) == 1
    # The next view is a new connection.
    with StudentAttemptsReader(configured(database_url)).view("") as view:
        assert len(list(view.stream(LONG_AGO, FAR_AHEAD))) == 1


def test_a_stream_that_is_given_up_half_way(database_url: str) -> None:
    execute(
        database_url,
        f"CREATE TABLE student_attempts ({COLUMNS})",
        "INSERT INTO student_attempts SELECT n::text, 'i1', true, '2026-03-10 10:00Z'"
        " FROM generate_series(1, 100000) AS n",
    )
    with StudentAttemptsReader(configured(database_url)).view("") as view:
        rows = view.stream(LONG_AGO, FAR_AHEAD, block_bytes=1000)
        next(rows)
        rows.close()


def test_a_server_that_is_too_old(source_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ForeignDatabase, "server_version", 13)
    with pytest.raises(SourceError, match=r"is PostgreSQL 13.*PostgreSQL 14 or newer"):
        read(StudentAttemptsReader(configured(source_url)))


def test_errors_of_the_store_are_not_taken_for_the_sources(source_url: str) -> None:
    with (
        pytest.raises(psycopg.errors.DivisionByZero),
        reading(configured(source_url), ""),
        connect(source_url) as connection,
    ):
        connection.execute("SELECT 1 / 0")
