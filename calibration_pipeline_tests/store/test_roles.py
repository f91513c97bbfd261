"""The roles may do what the program does under them, and nothing else: the database sees to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError, MissingPrivilegeError
from calibration_pipeline.store import schema
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.privileges import (
    ADMINISTRATOR,
    PIPELINE,
    PRIVILEGES,
    READER,
    ROLES,
    VIEWS,
)
from calibration_pipeline.store.roles import create_roles
from calibration_pipeline.store.schema import migrate
from calibration_pipeline.store.tables import SCHEMA, metadata
from calibration_pipeline_tests.database import fresh_database
from calibration_pipeline_tests.store.roles import engine_as

READABLE = {
    *VIEWS,
    "alias_moves",
    "aliases",
    "exposure_control_items",
    "exposure_controls",
    "snapshot_audits",
    "snapshot_items",
    "snapshots",
}
APPEND_ONLY = (
    "SELECT c.relname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid "
    "WHERE t.tgname = 'append_only' ORDER BY 1"
)
CHANGES = ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "MAINTAIN"]
EVERY_PRIVILEGE = (
    "SELECT c.relname AS name, r.rolname AS role, p.privilege"
    " FROM pg_class AS c, pg_roles AS r, unnest(CAST(:privileges AS text[])) AS p (privilege)"
    " WHERE c.relnamespace = 'calibration'::regnamespace AND c.relkind IN ('r', 'v')"
    " AND r.rolname = ANY(:roles) AND has_table_privilege(r.oid, c.oid, p.privilege)"
)


@pytest.fixture(scope="module")
def url(embedded_server: EmbeddedServer, migrated_template: str) -> Iterator[str]:
    """A database whose roles are in use, for all tests that leave it as it was."""
    with fresh_database(embedded_server, template_url=migrated_template) as url:
        engine = open_engine(url)
        create_roles(engine)
        engine.dispose()
        yield url


@pytest.fixture(scope="module")
def owner(url: str) -> Iterator[sa.Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module", params=ROLES)
def role(url: str, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    with engine_as(url, request.param) as engine:
        yield engine


@pytest.fixture(scope="module")
def pipeline(url: str) -> Iterator[sa.Engine]:
    with engine_as(url, PIPELINE) as engine:
        yield engine


@pytest.fixture(scope="module")
def reader(url: str) -> Iterator[sa.Engine]:
    with engine_as(url, READER) as engine:
        yield engine


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def granted(engine: sa.Engine) -> set[tuple[str, str, str]]:
    """What the roles may do in a database, whether they were told to or everybody may."""
    parameters = {"privileges": ["SELECT", *CHANGES, "REFERENCES", "TRIGGER"], "roles": list(ROLES)}
    with engine.connect() as connection:
        return {tuple(row) for row in connection.execute(sa.text(EVERY_PRIVILEGE), parameters)}


EXPECTED = {
    (table, role, privilege)
    for role, tables in PRIVILEGES.items()
    for table, privileges in tables.items()
    for privilege in privileges
}


def test_every_table_and_view_is_considered(owner: sa.Engine) -> None:
    inspector = sa.inspect(owner)
    names = {*inspector.get_table_names(SCHEMA), *inspector.get_view_names(SCHEMA)}
    for role in ROLES:
        assert PRIVILEGES[role].keys() == names
    assert {table.name for table in metadata.sorted_tables} == names - {*VIEWS, "alembic_version"}


def test_the_database_grants_what_the_matrix_says_and_no_more(owner: sa.Engine) -> None:
    assert granted(owner) == EXPECTED


def test_no_role_may_change_what_is_append_only(owner: sa.Engine) -> None:
    with owner.connect() as connection:
        tables = connection.scalars(sa.text(APPEND_ONLY)).all()
    assert {"snapshots", "snapshot_items", "snapshot_audits", "alias_moves"} < set(tables)
    for role in ROLES:
        assert all(PRIVILEGES[role][table] <= {"SELECT", "INSERT"} for table in tables)


def statements_that_change(owner: sa.Engine) -> Iterator[str]:
    with owner.connect() as connection:
        tables = connection.scalars(sa.text(APPEND_ONLY)).all()
    for table in tables:
        column = list(metadata.tables[f"{SCHEMA}.{table}"].c)[-1].name
        yield f"UPDATE calibration.{table} SET {column} = {column}"  # noqa: S608 - a test's
        yield f"DELETE FROM calibration.{table}"  # noqa: S608 - a test's
        yield f"TRUNCATE calibration.{table} CASCADE"


def test_every_role_is_refused_a_change_of_what_is_append_only(
    owner: sa.Engine, role: sa.Engine
) -> None:
    for statement in statements_that_change(owner):
        with pytest.raises(MissingPrivilegeError, match=r"permission denied.*no role may change"):
            run(role, statement)


def test_a_superuser_is_refused_it_even_where_triggers_are_told_to_rest(owner: sa.Engine) -> None:
    """As a restore or a replication tool tells them to."""
    for statement in statements_that_change(owner):
        for mode in ("origin", "replica"):
            with pytest.raises(sa.exc.IntegrityError, match="append-only"):
                run(owner, f"SET LOCAL session_replication_role = {mode}", statement)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE calibration.snapshot_items DISABLE TRIGGER append_only",
        "ALTER TABLE calibration.snapshot_items DISABLE TRIGGER ALL",
        "DROP TRIGGER append_only ON calibration.snapshot_items",
        "DROP TABLE calibration.snapshot_items",
        "ALTER TABLE calibration.snapshot_items RENAME TO unguarded",
        "SET session_replication_role = replica",
        "CREATE OR REPLACE FUNCTION calibration.refuse_change() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN NULL; END $$",
        "CREATE TABLE calibration.unguarded (i int)",
    ],
)
def test_no_role_can_take_the_protection_away(role: sa.Engine, statement: str) -> None:
    with pytest.raises(MissingPrivilegeError):
        run(role, statement)


def test_a_reader_reads_what_is_published_and_nothing_else(reader: sa.Engine) -> None:
    for table in PRIVILEGES[READER]:
        query = f"SELECT * FROM calibration.{table} LIMIT 1"  # noqa: S608 - a test's
        if table in READABLE | {"alembic_version"}:
            run(reader, query)
        else:
            with pytest.raises(MissingPrivilegeError, match=f"denied for table {table}"):
                run(reader, query)


def test_a_refusal_names_the_role_that_is_needed(reader: sa.Engine, pipeline: sa.Engine) -> None:
    with pytest.raises(MissingPrivilegeError) as caught:
        run(reader, "SELECT * FROM calibration.runs")
    assert "\n" not in str(caught.value)
    assert "the role calibration_pipeline or calibration_administrator (docs/" in str(caught.value)
    with pytest.raises(MissingPrivilegeError, match=r"the role calibration_administrator \("):
        run(
            pipeline,
            "INSERT INTO calibration.publication_switches (is_frozen, reason, decided_by)"
            " VALUES (true, 'because', 'a run')",
        )


def test_a_login_without_any_role_is_told_which_there_are(
    embedded_server: EmbeddedServer, migrated_template: str
) -> None:
    """And rights in one database are none in another: here nobody has run `calibrate db roles`."""
    with (
        fresh_database(embedded_server, template_url=migrated_template) as url,
        engine_as(url, READER) as engine,
        pytest.raises(MissingPrivilegeError, match="one of the roles calibration_pipeline, "),
    ):
        run(engine, "SELECT * FROM calibration.current_items")


def test_creating_the_roles_again_changes_nothing(owner: sa.Engine) -> None:
    again = create_roles(owner)
    assert [(role.name, role.is_new) for role in again] == [(name, False) for name in ROLES]
    assert granted(owner) == EXPECTED


def test_what_was_granted_by_hand_is_taken_back(engine: sa.Engine) -> None:
    create_roles(engine)
    run(engine, "GRANT ALL ON calibration.candidate_map TO calibration_reader")
    create_roles(engine)
    assert granted(engine) == EXPECTED


def test_migrating_extends_the_grants_to_new_tables(engine: sa.Engine) -> None:
    create_roles(engine)
    run(
        engine, "REVOKE ALL ON calibration.flags, calibration.alias_items FROM calibration_pipeline"
    )
    assert granted(engine) != EXPECTED
    migrate(engine)
    assert granted(engine) == EXPECTED


def test_migrating_gives_no_rights_where_the_roles_are_not_in_use(
    owner: sa.Engine, engine: sa.Engine
) -> None:
    del owner  # the roles exist on this server, thanks to another database
    migrate(engine)
    assert granted(engine) == set()


def test_staging_is_allowed_where_the_operator_has_forbidden_it_to_everybody(
    engine: sa.Engine,
) -> None:
    url = engine.url.render_as_string(hide_password=False)
    run(engine, f'REVOKE ALL ON DATABASE "{engine.url.database}" FROM PUBLIC')
    create_roles(engine)
    run(engine, f'GRANT CONNECT ON DATABASE "{engine.url.database}" TO {PIPELINE}, {READER}')
    with engine_as(url, PIPELINE) as pipeline:
        run(pipeline, "CREATE TEMPORARY TABLE staging (i int)")
    with engine_as(url, READER) as reader, pytest.raises(MissingPrivilegeError):
        run(reader, "CREATE TEMPORARY TABLE staging (i int)")


def test_on_a_new_server_creating_roles_needs_the_right_to(tmp_path: Path) -> None:
    """A server of this test's own: roles are a server's, and other tests have made them."""
    server = EmbeddedServer(tmp_path / "home")
    try:
        superuser = open_engine(server.start())
        run(superuser, "CREATE ROLE owner NOLOGIN", "GRANT CREATE ON DATABASE calibration TO owner")
        with engine_as(server.url(), "owner") as owner:
            migrate(owner)
            with pytest.raises(MissingPrivilegeError, match=r"lacks CREATEROLE.*`CREATE ROLE cal"):
                create_roles(owner)
            run(superuser, "ALTER ROLE owner CREATEROLE")
            assert [role.is_new for role in create_roles(owner)] == [True] * len(ROLES)
            assert granted(owner) == EXPECTED
            schema.require_current_revision(owner)
            run(superuser, "ALTER ROLE calibration_reader SUPERUSER")
            with pytest.raises(BadInputError, match=r"calibration_reader.*acts as the owner"):
                create_roles(owner)
        superuser.dispose()
    finally:
        server.remove()


def test_only_the_owner_can_grant(url: str) -> None:
    with (
        engine_as(url, ADMINISTRATOR) as administrator,
        pytest.raises(MissingPrivilegeError, match="doesn't own the table"),
    ):
        create_roles(administrator)
