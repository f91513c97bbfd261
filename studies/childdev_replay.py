"""Replay real answers through the pipeline: milestones of 2,038 children, night by night.

    python studies/childdev_replay.py --data childdev_smocc_DEV.parquet --out replay

A visit is a session. Births are spread over a year, so that ages become calendar days. Everything
goes through the pipeline's own commands, in an embedded PostgreSQL below the output folder; what
came out is described in docs/real-data.md.
"""

import json
import os
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import click
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, Python looks in this folder alone
    sys.path.insert(0, str(ROOT))

from studies.childdev_report import Replay, print_report  # noqa: E402
from studies.classical import examination_of  # noqa: E402

FIRST_BIRTH = date(2022, 1, 1)
BIRTH_DAYS = 365
FIRST_NIGHT = FIRST_BIRTH + timedelta(days=400)
"""Five examinations are in full swing by then, two fade out and one is about to begin."""
WINDOW_DAYS = 30
SECONDS_PER_ANSWER = 20
TIMEZONE = "Europe/Amsterdam"
VERSION_STEP = 15
"""Every so many nights the published version is read, to see whether the scale drifts."""

SETTINGS = {
    "CALIBRATION_FIRST_DAY": str(FIRST_BIRTH),
    "CALIBRATION_TIMEZONE": TIMEZONE,
    # Abilities of one examination have an sd of up to 4.6 logits, and some items are passed by all.
    "CALIBRATION_POLICY__EM__QUADRATURE_BOUND": "20",
    "CALIBRATION_POLICY__EM__QUADRATURE_NODES": "161",
    "CALIBRATION_POLICY__EM__DIFFICULTY_BOUNDS": "-20,20",
    "CALIBRATION_POLICY__PRIOR_DIFFICULTY": "0,3",
    "CALIBRATION_POLICY__POPULATION_SD_RANGE": "0.2,10",
    "CALIBRATION_POLICY__POPULATION_MEAN_RANGE": "-6,6",
}


def read_answers(path: Path, seed: int = 0) -> tuple[pd.DataFrame, int]:
    """Read the data set and give every answer its session and local moment.

    Parameters
    ----------
    path
        Parquet with ``person_id, item_id, correct, age_days``.
    seed
        Of the birthdays, which are uniform over a year from `FIRST_BIRTH`.

    Returns
    -------
    tuple
        One row per answer in order of time, and how many rows had no age and were dropped.
    """
    raw = pd.read_parquet(path)
    answers = raw.dropna(subset=["age_days"]).copy()
    children = np.sort(answers["person_id"].unique())
    births = np.random.default_rng(seed).integers(0, BIRTH_DAYS, len(children))
    offset = answers["person_id"].map(dict(zip(children, births, strict=True)))
    answers["age_days"] = answers["age_days"].astype(int)
    answers["session_id"] = answers["person_id"] + "@" + answers["age_days"].astype(str)
    days = pd.to_timedelta(answers["age_days"] + offset, unit="D")
    answers["day"] = pd.Timestamp(FIRST_BIRTH) + days
    answers = answers.sort_values(["day", "session_id", "item_id"], ignore_index=True)
    answers["position"] = answers.groupby("session_id").cumcount() + 1
    # Visits of a day start from nine o'clock on, five minutes apart.
    queue = answers.groupby("day")["session_id"].transform(lambda ids: pd.factorize(ids)[0])
    start = answers["day"] + pd.Timedelta(hours=9) + pd.to_timedelta(queue * 5, unit="min")
    answers["session_started_at"] = start.dt.tz_localize(TIMEZONE)
    spent = pd.to_timedelta(answers["position"] * SECONDS_PER_ANSWER, unit="s")
    answers["answered_at"] = answers["session_started_at"] + spent
    return answers, len(raw) - len(answers)


def write_inputs(answers: pd.DataFrame, scale_of: "pd.Series[str]", folder: Path) -> None:
    """Write ``bank.csv`` and ``responses.parquet`` as the import commands want them."""
    bank = pd.DataFrame({"item_id": scale_of.index, "scale": scale_of.to_numpy()})
    unknown = dict.fromkeys(["discrimination", "difficulty", "guessing"], np.nan)
    bank.assign(**unknown).to_csv(folder / "bank.csv", index=False)
    columns = ["session_id", "person_id", "item_id", "correct", "position"]
    log = answers[[*columns, "answered_at", "session_started_at"]]
    log.to_parquet(folder / "responses.parquet", index=False)


class Pipeline:
    """The pipeline's commands, with a home of their own below a folder."""

    def __init__(self, folder: Path) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CALIBRATION_")}
        home = {"CALIBRATION_HOME": str(folder / "home")}
        # A window of 9,000 answers is too small to be worth a second thread.
        self._environment = {**kept, "NUMBA_NUM_THREADS": "1", **SETTINGS, **home}

    def __call__(self, *arguments: object, may_refuse: bool = False) -> str:
        """Run a command; exit code 1 is an answer only where it may refuse."""
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "calibration_pipeline.interfaces.cli", *map(str, arguments)],
            env=self._environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode not in ((0, 1) if may_refuse else (0,)):
            raise click.ClickException(f"calibrate {arguments[0]} ended with {done.returncode}")
        return done.stdout


def run_chain(folder: Path, nights: int) -> tuple[pd.DataFrame, dict[int, pd.DataFrame], float]:
    """Import, calibrate the nights, read some of the versions.

    Returns
    -------
    tuple
        One row per night, items by version, and the seconds that the backfill took.
    """
    calibrate = Pipeline(folder)
    try:
        calibrate("migrate")
        calibrate("import-bank", folder / "bank.csv", "--model", "Rasch")
        calibrate("import-responses", folder / "responses.parquet")
        last_night, started = FIRST_NIGHT + timedelta(days=nights - 1), time.perf_counter()
        dates = ("--from", FIRST_NIGHT, "--to", last_night)
        outcomes = json.loads(calibrate("backfill", *dates, "--json", may_refuse=True))
        seconds = time.perf_counter() - started
        log = pd.DataFrame(outcomes)
        published = [int(version) for version in log["version"].dropna()]
        versions = {}
        for version in sorted({*published[::VERSION_STEP], published[-1]}):
            path = folder / f"version_{version}.csv"
            calibrate("snapshots", "export", version, "--out", path, "--force")
            versions[version] = pd.read_csv(path).set_index("item_id")
    finally:
        calibrate("db", "stop")
    return log, versions, seconds


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--nights", default=90, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the birthdays.")
@click.option(
    "--scales",
    type=click.Choice(["examinations", "one"]),
    default="examinations",
    show_default=True,
    help="One scale per examination, or one for all items.",
)
def main(data: Path, out: Path, nights: int, seed: int, scales: str) -> None:
    """Replay the data set and print a report in Markdown."""
    out = out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    answers, dropped = read_answers(data, seed)
    scale_of = examination_of(answers).sort_index()
    write_inputs(
        answers, scale_of if scales == "examinations" else scale_of.map(lambda _: "main"), out
    )
    log, versions, seconds = run_chain(out, nights)
    first = pd.Timestamp(FIRST_NIGHT - timedelta(days=WINDOW_DAYS - 1))
    last = pd.Timestamp(FIRST_NIGHT + timedelta(days=nights - 1))
    seen = answers[answers["day"].between(first, last)]
    print_report(Replay(answers, seen, dropped, log, versions, seconds), out)


if __name__ == "__main__":
    main()
