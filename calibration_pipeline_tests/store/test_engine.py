"""An unreachable database ends in one clear line, without its password."""

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import DatabaseUnavailableError
from calibration_pipeline.store.engine import open_engine


def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailableError, match="can't be reached") as caught:
        open_engine("postgresql://me:topsecret@127.0.0.1:1/irt")
    assert "topsecret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_missing_database_is_named(migrated_url: str) -> None:
    url = sa.engine.make_url(migrated_url).set(database="nowhere")
    with pytest.raises(DatabaseUnavailableError, match="nowhere"):
        open_engine(url.render_as_string(hide_password=False))


def test_a_connection_lost_in_use_is_named(engine: sa.Engine) -> None:
    with engine.connect() as connection, engine.connect() as other:
        pid = connection.scalar(sa.select(sa.func.pg_backend_pid()))
        other.execute(sa.select(sa.func.pg_terminate_backend(pid)))
        with pytest.raises(DatabaseUnavailableError, match="can't be reached"):
            connection.execute(sa.text("SELECT 1"))


def test_a_mistake_in_a_statement_stays_what_it_is(engine: sa.Engine) -> None:
    with engine.connect() as connection, pytest.raises(sa.exc.ProgrammingError):
        connection.execute(sa.text("SELECT * FROM nothing"))


def test_a_stale_pooled_connection_is_replaced(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        pid = connection.scalar(sa.select(sa.func.pg_backend_pid()))
    other = open_engine(engine.url.render_as_string(hide_password=False))
    with other.connect() as connection:
        connection.execute(sa.select(sa.func.pg_terminate_backend(pid)))
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
