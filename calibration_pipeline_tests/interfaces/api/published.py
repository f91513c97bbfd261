"""A small database that has all that the reading routes read, made without a calibration."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.api_configuration import ApiConfiguration
from calibration_pipeline.records import Flag
from calibration_pipeline.settings import Settings
from calibration_pipeline.store import results, runs, states
from calibration_pipeline.store.bank import import_bank, read_bank
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.exposure import write_exposure
from calibration_pipeline.store.schema import migrate
from calibration_pipeline_tests.database import Once, fresh_database
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import FIRST_DAY
from calibration_pipeline_tests.store.examples import scale_exposure, snapshot_items
from calibration_pipeline_tests.store.publishing import published

NIGHT = FIRST_DAY + timedelta(days=30)
ITEMS = snapshot_items()
SLASHED = replace(ITEMS[0], key=("maths/Ä 1", 1))
EDITED = replace(ITEMS[0], key=(ITEMS[0].key[0], 2), difficulty=1.5, guessing_se=float("nan"))
"""The first item's newer content version; nobody knows how sure its guessing is."""
DRIFT = Flag(
    ("i1", 1), "reference_drift", 0.9, 0.5, 0.15, 4.2, True, "0.40 harder", "all answers", FIRST_DAY
)
MISFIT = Flag(("i2", 1), "misfit_infit", 1.5, 1.0, 1.3, -5.0, True, "noisy", "the model")
BANK = (
    "item_id,discrimination,difficulty,guessing,is_anchor,author_difficulty\n"
    "i2,1.25,-0.5,0.2,true,-0.4\ni1,,,,false,0.5\n"
)


@contextmanager
def published_database(
    once: Once, server: EmbeddedServer, home: Path, **limits: Any
) -> Iterator[Settings]:
    """Copy the small database; give the settings of a service over it, with limits of its own."""
    with fresh_database(server, template_url=once(_template, server)) as url:
        yield Settings(database_url=url, home=home, api=ApiConfiguration(**limits))


@contextmanager
def _template(server: EmbeddedServer) -> Iterator[str]:
    with fresh_database(server) as url:
        engine = open_engine(url)
        migrate(engine)
        with TemporaryDirectory() as folder:
            publish_two_versions(engine, Path(folder))
        engine.dispose()
        yield url


def publish_two_versions(engine: sa.Engine, folder: Path) -> None:
    """Publish versions 1 and 2 with exposure control, and flag two items."""
    bank_csv = folder / "bank.csv"
    bank_csv.write_text(BANK)
    import_bank(engine, bank_csv, "3PL")
    bank = read_bank(engine, FIRST_DAY)
    run_id = runs.open_run(
        engine,
        partition=NIGHT,
        triggered_by="a test",
        configuration={"window_days": 30},
        package_versions={"numpy": "2"},
    )
    state = make_state(bank, np.tile([1.0, 0.5, 0.2], (bank.n_items, 1)))
    for night, flags in ((NIGHT - timedelta(days=1), (DRIFT,)), (NIGHT, (DRIFT, MISFIT))):
        states.write_state(engine, replace(state, partition=night), run_id)
        results.write_flags(engine, night, 1, run_id, flags)
    published(engine, run_id, ITEMS, partition=NIGHT)
    published(engine, run_id, (*ITEMS, EDITED, SLASHED), partition=NIGHT)
    write_exposure(engine, 2, scale_exposure([item.key for item in ITEMS]), found_by="a test")
