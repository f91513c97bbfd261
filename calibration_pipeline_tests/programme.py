"""A small simulated programme in a database of its own, ready to be calibrated night by night.

The answers are simulated and imported once per test run; a test copies the database, and with it
the nights that the shared template has calibrated, in a fraction of a second.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster_postgres import DagsterPostgresStorage

from calibration_pipeline.definitions import build_definitions, open_store
from calibration_pipeline.orchestration.launch import run_nights
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.simulated_programme import SimulationPlan, simulate_programme
from calibration_pipeline.records import CalibrationState
from calibration_pipeline.settings import Settings
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.calibration_store import CalibrationStore
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.history import NightOutcome, outcomes_of_run
from calibration_pipeline.store.response_log import import_responses
from calibration_pipeline.store.schema import migrate
from calibration_pipeline.store.simulated_files import write_simulated_files
from calibration_pipeline.store.snapshots import list_snapshots
from calibration_pipeline.store.urls import to_psycopg2
from calibration_pipeline_tests.database import Once, fresh_database

PLAN = SimulationPlan(
    # A window over the 23-hour day of spring.
    last_day=date(2025, 4, 2),
    items=150,
    anchors=24,
    days=8,
    sessions_per_day=60,
    answers=15,
    pool_share=0.3,
)
FIRST, LAST = PLAN.last_day - timedelta(days=PLAN.days - 1), PLAN.last_day
NIGHTS = tuple(FIRST + timedelta(days=n) for n in range(PLAN.days))
ANSWERS_A_DAY = PLAN.sessions_per_day * PLAN.answers
POLICY = CalibrationConfiguration(
    # Half of the days leave the window; thresholds in proportion to its few answers.
    window_days=4,
    minimum_responses=10,
    trust_threshold=50,
    minimum_anchor_responses=10,
    maximum_anchor_shift=1.0,
    linking_slope_range=(0.5, 2.0),
    linking_intercept_range=(-0.5, 0.5),
)


def environment_of(settings: Settings, dagster_url: str) -> dict[str, str]:
    """Say settings as an operator does: the variables of another process."""
    assert settings.database_url is not None
    policy = {
        f"CALIBRATION_POLICY__{name}".upper(): str(getattr(settings.policy, name))
        for name in (
            "window_days",
            "minimum_responses",
            "trust_threshold",
            "minimum_anchor_responses",
            "maximum_anchor_shift",
            "linking_slope_range",
            "linking_intercept_range",
        )
    }
    return policy | {
        "CALIBRATION_DATABASE_URL": settings.database_url.get_secret_value(),
        "CALIBRATION_DAGSTER_DATABASE_URL": dagster_url,
        "CALIBRATION_HOME": str(settings.home),
        "CALIBRATION_FIRST_DAY": str(settings.first_day),
        # After every night of a daemon they would compute for minutes.
        "CALIBRATION_CROSS_CHECKS": "false",
        "CALIBRATION_REPORT_CHARTS": "false",
    }


@dataclass(frozen=True)
class Programme:
    """A database with a pool and its answers, a home folder, and a Dagster instance."""

    settings: Settings
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    def with_policy(self, **changes: Any) -> "Programme":
        """The same programme under other thresholds."""
        policy = replace(self.settings.policy, **changes)
        return replace(self, settings=self.settings.model_copy(update={"policy": policy}))

    def run(self, first: date, last: date | None = None, **options: Any) -> str:
        """Run a night, or a range of them in one run; give Dagster's run id."""
        options = {"triggered_by": "a test"} | options
        definitions = build_definitions(self.settings)
        return run_nights(definitions, self.instance, first, last or first, **options)

    def nights(self, first: date, last: date | None = None, **options: Any) -> list[NightOutcome]:
        """Run a range of nights; give what the run log says of them."""
        return list(outcomes_of_run(self.engine, self.run(first, last, **options)))

    def night(self, day: date, **options: Any) -> NightOutcome:
        """Run one night; give what the run log says of it."""
        (outcome,) = self.nights(day, **options)
        return outcome

    @cached_property
    def engine(self) -> sa.Engine:
        """The test's own connection."""
        assert self.settings.database_url is not None
        return open_engine(self.settings.database_url.get_secret_value())

    def store(self) -> CalibrationStore:
        """A store on the test's own connection, which hasn't taken the lock yet."""
        opened = open_store(self.settings, "a test", "a test")
        opened.engine.dispose()
        return replace(opened, engine=self.engine)

    def state(self, night: date, attempt: int | None = None) -> CalibrationState:
        """A night's stored state."""
        found = self.store().state(night, attempt)
        assert found is not None
        return found

    def log_like(self, session_id: str, day: date, **changes: str) -> int:
        """Log a copy of a day's first session, of another candidate; give its number of answers.

        `changes` are SQL expressions by column, which replace the copied values.
        """
        copied = ("item_id", "content_version", "score", "answered_at", "session_started_at")
        columns = {name: name for name in (*copied, "position")}
        new = {"session_id": f"'{session_id}'", "candidate_id": f"'candidate of {session_id}'"}
        chosen = columns | new | changes
        statement = (
            f"INSERT INTO calibration.response_log ({', '.join(chosen)}) "  # noqa: S608 - a test's
            f"SELECT {', '.join(chosen.values())} FROM calibration.response_log "
            "WHERE session_id = :model"
        )
        with self.engine.begin() as connection:
            model = {"model": f"s{day:%Y%m%d}-00000"}
            return connection.execute(sa.text(statement), model).rowcount

    def scalar(self, query: str, **parameters: object) -> Any:
        """The single value of a query."""
        with self.engine.connect() as connection:
            return connection.scalar(sa.text(query), parameters)

    def execute(self, statement: str, **parameters: object) -> None:
        """Change the database behind the program's back."""
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), parameters)

    def digests(self) -> tuple[list[str], list[tuple[int, date, str]]]:
        """Digests of the newest states of all nights, and of all versions."""
        store = self.store()
        states = [store.state(night) for night in NIGHTS]
        versions = reversed(list_snapshots(self.engine))
        return (
            [state.digest for state in states if state],
            [(v.version, v.partition, v.content_digest) for v in versions],
        )

    def materializations(self, asset: str) -> Mapping[str, dict[str, Any]]:
        """The newest metadata of each partition of an asset, as plain values."""
        key, found = dg.AssetKey(asset), {}
        for event in self.instance.fetch_materializations(key, limit=1000).records:
            materialization = event.asset_materialization
            assert materialization is not None
            assert materialization.partition is not None
            plain = {name: value.value for name, value in materialization.metadata.items()}
            found.setdefault(materialization.partition, plain)
        return found

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()
        self.instance.dispose()


def programme_on(url: str, home: Path, **changes: Any) -> Programme:
    """A programme on a database that holds its pool and answers."""
    # Pictures take longer than these nights themselves; the tests of the reports draw them.
    options = {"first_day": FIRST - timedelta(days=1), "policy": POLICY, "report_charts": False}
    return Programme(Settings(database_url=url, home=home, **(options | changes)))


def load(engine: sa.Engine, folder: Path, plan: SimulationPlan = PLAN) -> None:
    """Simulate a plan and import it into an empty database."""
    programme = simulate_programme(plan)
    files = write_simulated_files(
        folder,
        programme.pool.bank_columns(),
        programme.pool.truth_columns(),
        (day.columns(programme.pool.item_ids) for day in programme.days()),
    )
    migrate(engine)
    import_bank(engine, files.bank, plan.model)
    import_responses(engine, files.responses, lambda _done, _total: None)


@pytest.fixture(scope="session")
def loaded_template(
    once: Once, embedded_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A database with the programme's pool and answers, and no night calibrated."""
    return once(_loaded, embedded_server, tmp_path_factory)


@contextmanager
def _loaded(server: EmbeddedServer, folders: pytest.TempPathFactory) -> Iterator[str]:
    with fresh_database(server) as url:
        engine = open_engine(url)
        load(engine, folders.mktemp("programme") / "simulated")
        engine.dispose()
        yield url


@pytest.fixture(scope="session")
def dagster_template(once: Once, embedded_server: EmbeddedServer) -> str:
    """A database with Dagster's own tables, which take seconds to make."""
    return once(_with_dagsters_tables, embedded_server)


@contextmanager
def _with_dagsters_tables(server: EmbeddedServer) -> Iterator[str]:
    with fresh_database(server) as url:
        storage = DagsterPostgresStorage(to_psycopg2(url))
        for part in (storage.run_storage, storage.event_log_storage, storage.schedule_storage):
            part.dispose()
        yield url


@pytest.fixture
def dagster_url(embedded_server: EmbeddedServer, dagster_template: str) -> Iterator[str]:
    """A database of the test's own for Dagster's instance."""
    with fresh_database(embedded_server, template_url=dagster_template) as url:
        yield url


@pytest.fixture(scope="session")
def calibrated(
    once: Once,
    embedded_server: EmbeddedServer,
    loaded_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Programme:
    """All nights calibrated in one run. Shared by every test that only reads."""
    return once(_calibrated, embedded_server, loaded_template, tmp_path_factory)


@contextmanager
def _calibrated(
    server: EmbeddedServer, template_url: str, folders: pytest.TempPathFactory
) -> Iterator[Programme]:
    with fresh_database(server, template_url=template_url) as url:
        programme = programme_on(url, folders.mktemp("calibrated"))
        programme.run(FIRST, LAST)
        yield programme
        programme.close()


@pytest.fixture
def programme(
    embedded_server: EmbeddedServer, loaded_template: str, tmp_path: Path
) -> Iterator[Programme]:
    """A programme of the test's own, no night calibrated."""
    with fresh_database(embedded_server, template_url=loaded_template) as url:
        own = programme_on(url, tmp_path / "home")
        yield own
        own.close()


@pytest.fixture
def calibrated_copy(
    embedded_server: EmbeddedServer, calibrated: Programme, tmp_path: Path
) -> Iterator[Programme]:
    """A programme of the test's own, all nights calibrated."""
    with copy_of(calibrated, embedded_server, tmp_path / "home") as own:
        yield own


@contextmanager
def copy_of(original: Programme, server: EmbeddedServer, home: Path) -> Iterator[Programme]:
    """Copy a programme: its database, and its home with the archive."""
    assert original.settings.database_url is not None
    original.engine.dispose()
    template = original.settings.database_url.get_secret_value()
    shutil.copytree(original.settings.home, home)
    with fresh_database(server, template_url=template) as url:
        changed = {"database_url": type(original.settings.database_url)(url), "home": home}
        own = Programme(original.settings.model_copy(update=changed))
        yield own
        own.close()
