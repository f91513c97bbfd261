"""Real PostgreSQL for the tests: one embedded server per test run, a fresh database per test.

A module that needs more than an empty database makes its own template once, and copies it:

    @pytest.fixture(scope="session")
    def migrated_template(embedded_server):
        with fresh_database(embedded_server) as url:
            migrate(url)
            yield url

    @pytest.fixture
    def migrated_url(embedded_server, migrated_template):
        with fresh_database(embedded_server, template_url=migrated_template) as url:
            yield url
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeVar

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.engine import make_url

from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline_tests.server_folder import server_folder

_T = TypeVar("_T")


class Once:
    """Makes what many modules share: pytest makes a fixture anew for each that imports it."""

    def __init__(self, until_the_end: ExitStack) -> None:
        self._until_the_end = until_the_end
        self._made: dict[Callable[..., Any], Any] = {}

    def __call__(self, make: Callable[..., AbstractContextManager[_T]], *arguments: Any) -> _T:
        """Enter what `make` gives, or give what it gave before."""
        if make not in self._made:
            self._made[make] = self._until_the_end.enter_context(make(*arguments))
        made: _T = self._made[make]
        return made


@pytest.fixture(scope="session")
def once(embedded_server: EmbeddedServer) -> Iterator[Once]:
    """Makes things that last as long as the server."""
    with ExitStack() as until_the_end:
        yield Once(until_the_end)


@pytest.fixture(scope="session")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A running embedded server of this test run alone; gone with its data afterwards."""
    with server_folder(tmp_path_factory.mktemp("database")) as folder:
        server = EmbeddedServer(folder / "home")
        server.start()
        _leave_the_disk_to_the_operating_system(server)
        try:
            yield server
        finally:
            server.remove()


def _leave_the_disk_to_the_operating_system(server: EmbeddedServer) -> None:
    """Spare the tests' server what protects data from a crash of the machine, but of nothing less.

    A server or client that is killed loses nothing by it. The tests of the embedded server itself
    have servers of their own, with the settings that users get.
    """
    with connect(server.url("postgres")) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture
def database_url(embedded_server: EmbeddedServer) -> Iterator[str]:
    """The URL of an empty database that this test has for itself."""
    with fresh_database(embedded_server) as url:
        yield url


@contextmanager
def fresh_database(server: EmbeddedServer, template_url: str | None = None) -> Iterator[str]:
    """Create a database, give its SQLAlchemy URL (psycopg 3), and drop it afterwards.

    Parameters
    ----------
    server
        The running server.
    template_url
        A database to copy, to which nobody is connected (dispose of engines first).
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    template = "template1" if template_url is None else str(make_url(template_url).database)
    # As files: half the work of copying page by page through the log, PostgreSQL's own choice.
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
        sql.Identifier(name), sql.Identifier(template)
    )
    with connect(server.url("postgres")) as connection:
        connection.execute(create)
    try:
        yield server.url(name)
    finally:
        with connect(server.url("postgres")) as connection:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))


def connect(url: str) -> psycopg.Connection:
    """Open an autocommit psycopg connection to a SQLAlchemy URL."""
    parsed = make_url(url)
    return psycopg.connect(
        **parsed.query, user=parsed.username, dbname=parsed.database, autocommit=True
    )


@contextmanager
def statements_of(engine: sa.Engine) -> Iterator[list[str]]:
    """Collect what the body sends through SQLAlchemy: a busy machine does not change that."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
