"""Migrations from every earlier revision, with a programme's rows in the database."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from calibration_pipeline.policy.leak_configuration import LeakConfiguration
from calibration_pipeline.store import schema
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.schema import migrate
from calibration_pipeline.store.snapshots import (
    content_digest,
    current_version,
    list_snapshots,
    read_snapshot_items,
)
from calibration_pipeline.store.states import read_state
from calibration_pipeline.store.status import read_status
from calibration_pipeline.store.tables import SCHEMA
from calibration_pipeline_tests.database import fresh_database
from calibration_pipeline_tests.programme import (
    FIRST,
    LAST,
    NIGHTS,
    POLICY,
    Programme,
    calibrated,
    loaded_template,
    programme_on,
)
from calibration_pipeline_tests.store.answers import ZURICH
from calibration_pipeline_tests.store.old_databases import (
    columns_of,
    earlier_revisions,
    fill,
    rows_of,
    upgrade,
)
from calibration_pipeline_tests.store.test_tables import APPEND_ONLY

__all__ = ["calibrated", "loaded_template"]

EARLIER = NIGHTS[:-1]
"""The nights that the old databases hold; the last one is run after the upgrade."""
STATES_SINCE, SNAPSHOTS_SINCE = "0003", "0004"
AS_IT_WAS = replace(POLICY, leaks=LeakConfiguration(watch=False))
"""Earlier nights knew no leaks; without a suspicion they published the same."""
PROTECTED = (
    "SELECT c.relname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid "
    "WHERE t.tgname = 'append_only' AND t.tgenabled = 'A' AND NOT t.tgisinternal ORDER BY 1"
)


@pytest.fixture(scope="module")
def week(
    embedded_server: EmbeddedServer,
    loaded_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Programme]:
    """A programme that has one night to go, at the newest revision."""
    with fresh_database(embedded_server, template_url=loaded_template) as url:
        programme = programme_on(url, tmp_path_factory.mktemp("week"), policy=AS_IT_WAS)
        programme.run(FIRST, EARLIER[-1])
        yield programme
        programme.close()


@contextmanager
def database_at(server: EmbeddedServer, revision: str, week: Programme) -> Iterator[sa.Engine]:
    """The week's rows in a database at an earlier revision."""
    with fresh_database(server) as url:
        engine = open_engine(url)
        upgrade(engine, revision)
        fill(week.engine, engine)
        yield engine
        engine.dispose()


@pytest.mark.parametrize("revision", earlier_revisions())
def test_an_upgrade_keeps_every_row_and_the_program_reads_them(
    revision: str, embedded_server: EmbeddedServer, week: Programme
) -> None:
    with database_at(embedded_server, revision, week) as engine:
        columns = columns_of(engine)
        before = rows_of(engine, columns)
        assert before == rows_of(week.engine, columns)
        assert schema.database_revision(engine) == revision
        migrate(engine)
        assert rows_of(engine, columns) == before
        assert_protected(engine)
        if revision >= STATES_SINCE:
            assert_states_are_read(engine, week.engine)
        if revision >= SNAPSHOTS_SINCE:
            assert_versions_are_read(engine, week.engine)


def assert_protected(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert connection.scalars(sa.text(PROTECTED)).all() == APPEND_ONLY


def assert_states_are_read(upgraded: sa.Engine, original: sa.Engine) -> None:
    assert read_status(upgraded, ZURICH).done == EARLIER
    folds = {"state_folds": ["partition", "attempt", "day", "revision", "digest"]}
    assert rows_of(upgraded, folds) == rows_of(original, folds)
    for night in EARLIER:
        found, expected = read_state(upgraded, night), read_state(original, night)
        assert found is not None
        assert expected is not None
        assert (found.digest, found.folded) == (expected.digest, expected.folded)
        assert (found.parameters == expected.parameters).all()
        assert (found.carried_information == expected.carried_information).all()


def assert_versions_are_read(upgraded: sa.Engine, original: sa.Engine) -> None:
    manifests = list_snapshots(upgraded)
    assert manifests == list_snapshots(original)
    assert len(manifests) == len(EARLIER)
    for manifest in manifests:
        items = read_snapshot_items(upgraded, manifest.version)
        assert content_digest(items, manifest.scaling_constant) == manifest.content_digest


def test_the_next_night_goes_on_from_states_without_versions(
    embedded_server: EmbeddedServer, week: Programme, tmp_path: Path
) -> None:
    """The oldest revision that has nights: much of what a state says today it could not say."""
    with night_after_upgrade(embedded_server, "0003", week, tmp_path) as programme:
        night = programme.night(LAST)
        assert (night.outcome, night.reason) == ("completed", "")
        state = programme.state(LAST)
        assert state.is_accepted
        assert state.parent == (EARLIER[-1], 1)
        (manifest,) = list_snapshots(programme.engine)
        assert (manifest.version, manifest.partition) == (1, LAST)
        assert current_version(programme.engine) == 1


def test_the_next_night_is_the_one_that_it_would_have_been(
    embedded_server: EmbeddedServer, week: Programme, calibrated: Programme, tmp_path: Path
) -> None:
    """A revision that lacks nothing of a state changes no byte of the states that follow."""
    with night_after_upgrade(embedded_server, "0009", week, tmp_path) as programme:
        assert programme.night(LAST).outcome == "completed"
        found, expected = (
            [manifest.content_digest for manifest in list_snapshots(each.engine)]
            for each in (programme, calibrated)
        )
        assert found == expected


@contextmanager
def night_after_upgrade(
    server: EmbeddedServer, revision: str, week: Programme, folder: Path
) -> Iterator[Programme]:
    """The week in a database that has come from an earlier revision, with its archive."""
    shutil.copytree(week.settings.home, folder / "home")
    with database_at(server, revision, week) as engine:
        migrate(engine)
        url = engine.url.render_as_string(hide_password=False)
        programme = programme_on(url, folder / "home", policy=AS_IT_WAS)
        yield programme
        programme.close()


def test_an_upgrade_that_fails_leaves_the_earlier_revision_whole(
    embedded_server: EmbeddedServer, week: Programme
) -> None:
    with database_at(embedded_server, "0008", week) as engine:
        columns = columns_of(engine)
        before = rows_of(engine, columns)
        obstacle = f"{SCHEMA}.privacy_acts"  # the last table that 0010 creates
        with engine.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE {obstacle} (i int)"))
        with pytest.raises(sa.exc.ProgrammingError, match="privacy_acts"):
            migrate(engine)
        with engine.begin() as connection:
            connection.execute(sa.text(f"DROP TABLE {obstacle}"))
        assert schema.database_revision(engine) == "0008"
        assert columns_of(engine) == columns
        assert rows_of(engine, columns) == before
        migrate(engine)
        assert rows_of(engine, columns) == before
        assert_protected(engine)
