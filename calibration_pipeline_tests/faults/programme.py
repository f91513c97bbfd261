"""The programme that the faults strike: small, and every step of its nights has work to do."""

import gc
import shutil
import uuid
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import numba
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from calibration_pipeline.settings import Settings
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.programme import PLAN as SHARED_PLAN
from calibration_pipeline_tests.programme import POLICY, Programme, load, programme_on

PLAN = replace(SHARED_PLAN, items=60, anchors=12, days=6, sessions_per_day=40, answers=12)
FIRST = PLAN.last_day - timedelta(days=PLAN.days - 1)
NIGHTS = tuple(FIRST + timedelta(days=n) for n in range(PLAN.days))
DONE, AHEAD = NIGHTS[:4], NIGHTS[4:]
"""The nights calibrated before any fault, and those that the faults strike."""


@dataclass(frozen=True)
class Copy:
    """A programme of one trial: its database and its home folder."""

    settings: Settings
    folder: Path

    @property
    def url(self) -> str:
        """The database's URL."""
        assert self.settings.database_url is not None
        return self.settings.database_url.get_secret_value()

    @property
    def archive(self) -> Path:
        """Where the run's archive lies."""
        return self.settings.home / "archive"

    def open(self) -> Programme:
        """The programme, with Dagster's records in the trial's folder."""
        records = self.folder / "dagster" / uuid.uuid4().hex
        records.mkdir(parents=True)
        return Programme(self.settings, dg.DagsterInstance.ephemeral(tempdir=str(records)))


class Workshop:
    """A PostgreSQL server, the programme on it as the faults find it, and copies of that.

    Making it runs nights, so that forks of this process find everything imported and compiled.
    No connection stays open and no kernel keeps threads: the process can be forked at any time.
    """

    def __init__(self, folder: Path) -> None:
        # GNU's OpenMP can't be used in a fork of a process that has used it; this layer can.
        numba.config.THREADING_LAYER = "workqueue"
        self.folder = folder
        self.server = EmbeddedServer(folder / "server")
        self.server.start()
        with connect(self.server.url("postgres")) as connection:
            # PostgreSQL will crash, the machine won't: what a commit has written stays.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        self._template = self._programme("template")
        # Forks share what was made so far for as long as nobody writes to it.
        gc.freeze()

    def _programme(self, name: str) -> Copy:
        with connect(self.server.url("postgres")) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        policy = replace(POLICY, window_days=3, maximum_quarantined_share=0.1)
        url = self.server.url(name)
        engine = open_engine(url)
        load(engine, folder / "simulated", PLAN)
        engine.dispose()
        loaded = programme_on(url, folder / "home", first_day=FIRST, policy=policy)
        loaded.instance.dispose()
        template = Copy(loaded.settings, folder)
        programme = template.open()
        programme.run(DONE[0], DONE[-1])
        _give_every_step_work(programme)
        programme.close()
        return template

    def copy(self) -> Copy:
        """Copy the programme: a database and a home folder."""
        name = f"trial_{uuid.uuid4().hex[:12]}"
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        shutil.copytree(self._template.settings.home, folder / "home")
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(str(make_url(self._template.url).database))
        )
        with connect(self.server.url("postgres")) as connection:
            connection.execute(create)
            # The copy's sequences believe that 32 numbers ahead of them are in the log, as they
            # are for the original; after a crash they would go back. A checkpoint tells them.
            connection.execute("CHECKPOINT")
        changed = {"database_url": SecretStr(self.server.url(name)), "home": folder / "home"}
        return Copy(self._template.settings.model_copy(update=changed), folder)

    def discard(self, copy: Copy) -> None:
        """Drop a copy."""
        name = sql.Identifier(str(make_url(copy.url).database))
        with connect(self.server.url("postgres")) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        shutil.rmtree(copy.folder)

    def close(self) -> None:
        """Stop the server and delete its data."""
        self.server.remove()


def _give_every_step_work(programme: Programme) -> None:
    """Change days that the next nights extract again, fold, and quarantine rows of."""
    leaves_tonight, stays, own = AHEAD[0] - timedelta(days=3), DONE[-1], AHEAD[0]
    programme.log_like("late", stays)
    programme.log_like("incomplete", own, score="NULL")
    programme.execute(
        "UPDATE calibration.response_log SET score = 1 - score WHERE session_id = :session",
        session=f"s{leaves_tonight:%Y%m%d}-00001",
    )


def nights_of(scenario: str) -> tuple[date, date]:
    """The first and the last night of a scenario's runs."""
    return AHEAD[0], AHEAD[-1] if scenario == "two nights" else AHEAD[0]


SCENARIOS = ("one night", "two nights")
