"""A whole night through Dagster, in one process, with the time of each step.

    python -m benchmarks.whole_night prepare HOME
    python -m benchmarks.whole_night run HOME OUTPUT

The 29 days before it are in the archive already, as on any night but the first.
"""

import argparse
import json
import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from benchmarks.processes import ROOT

NIGHT = date(2026, 3, 10)
ITEMS, ANCHORS, DAYS, SESSIONS_PER_DAY, ANSWERS = 2400, 290, 30, 1334, 30


def prepare(home: Path) -> None:
    """Simulate a programme, import it, and archive all its days but the last."""
    from calibration_pipeline.definitions import open_store
    from calibration_pipeline.policy.simulated_programme import SimulationPlan, simulate_programme
    from calibration_pipeline.settings import load_settings
    from calibration_pipeline.store.bank import import_bank
    from calibration_pipeline.store.embedded import EmbeddedServer
    from calibration_pipeline.store.engine import open_engine
    from calibration_pipeline.store.response_log import import_responses
    from calibration_pipeline.store.schema import migrate
    from calibration_pipeline.store.simulated_files import write_simulated_files

    plan = SimulationPlan(
        last_day=NIGHT, items=ITEMS, anchors=ANCHORS, days=DAYS,
        sessions_per_day=SESSIONS_PER_DAY, answers=ANSWERS,
    )  # fmt: skip
    programme = simulate_programme(plan)
    files = write_simulated_files(
        home / "simulated",
        programme.pool.bank_columns(),
        programme.pool.truth_columns(),
        (day.columns(programme.pool.item_ids) for day in programme.days()),
    )
    engine = open_engine(EmbeddedServer(home).start())
    migrate(engine)
    import_bank(engine, files.bank, plan.model)
    import_responses(engine, files.responses, lambda _done, _total: None)
    engine.dispose()
    with open_store(load_settings(), "a benchmark", "prepare") as store:
        for number in range(1, DAYS):
            store.extract_day(NIGHT - timedelta(days=number), refresh=False)


def run(home: Path) -> dict[str, Any]:
    """Process the night: seconds of each step, of the run, and from the process's start to it."""
    from calibration_pipeline.definitions import build_definitions
    from calibration_pipeline.orchestration.instance import open_instance
    from calibration_pipeline.orchestration.launch import run_nights
    from calibration_pipeline.settings import load_settings
    from calibration_pipeline.store.embedded import EmbeddedServer
    from calibration_pipeline.store.engine import open_engine
    from calibration_pipeline.store.history import outcomes_of_run

    definitions = build_definitions(load_settings())
    with open_instance(ROOT) as instance:
        started = time.perf_counter()
        cold = datetime.now(UTC).timestamp() - psutil.Process().create_time()
        run_id = run_nights(definitions, instance, NIGHT, NIGHT, triggered_by="a benchmark")
        seconds = time.perf_counter() - started
        steps = {
            statistics.step_key: statistics.end_time - statistics.start_time
            for statistics in instance.get_run_step_stats(run_id)
            if statistics.start_time and statistics.end_time
        }
    engine = open_engine(EmbeddedServer(home).url())
    (outcome,) = outcomes_of_run(engine, run_id)
    engine.dispose()
    return {
        "seconds": seconds,
        "cold_start_seconds": cold,
        "steps": steps,
        "outcome": str(outcome.outcome),
    }


def main() -> None:
    """Prepare, or run and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=["prepare", "run"])
    parser.add_argument("home", type=Path)
    parser.add_argument("output", type=Path, nargs="?")
    arguments = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("CALIBRATION_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ["CALIBRATION_HOME"] = str(arguments.home)
    os.environ["CALIBRATION_FIRST_DAY"] = str(NIGHT - timedelta(days=DAYS))
    if arguments.what == "prepare":
        prepare(arguments.home)
    else:
        arguments.output.write_text(json.dumps(run(arguments.home)))


if __name__ == "__main__":
    main()
