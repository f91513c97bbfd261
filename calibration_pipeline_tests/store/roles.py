"""Databases whose roles are in use, and engines whose login has one of them alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.roles import create_roles


@contextmanager
def engine_as(url: str, role: str) -> Iterator[sa.Engine]:
    """An engine whose every connection has a role's rights, in place of the superuser's."""
    engine = open_engine(url)
    engine.dispose()

    @sa.event.listens_for(engine, "connect")
    def _become(connection: Any, _record: Any) -> None:
        connection.execute(f"SET ROLE {role}")
        connection.commit()

    yield engine
    engine.dispose()


def log_in_as(url: str, role: str) -> None:
    """Let whoever connects to a database from now on have a role's rights; create the roles."""
    engine = open_engine(url)
    create_roles(engine)
    name = make_url(url).database
    with engine.begin() as connection:
        connection.execute(sa.text(f'ALTER DATABASE "{name}" SET role = {role}'))
    engine.dispose()
