"""How soon leaked items are found, and how often healthy ones are accused: docs/leaks.md.

    python studies/leaks.py [--runs 500] [--healthy 4000] [--nights 120000] [--programmes 2]

Pre-knowledge: right with probability .95, in 0.6 of the usual time; log times normal with sd 0.4,
.15 of it uncertain. Items a ~ lognormal(.2, .3), b ~ N(0, 1), c ~ U(.1, .3), abilities known with
sd .35; where parameters are estimated, with errors of .16 in b, .2 in log a and .05 in c.
"""

import sys
from pathlib import Path

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, Python looks in this folder alone
    sys.path.insert(0, str(ROOT))

from calibration_pipeline.irt.leak_detection import DetectorState, advance  # noqa: E402
from calibration_pipeline.irt.leak_model import LeakModel  # noqa: E402
from calibration_pipeline.irt.leak_thresholds import alarm_thresholds  # noqa: E402
from calibration_pipeline.irt.model import FloatArray  # noqa: E402
from studies.leak_programme import detection_in_sessions  # noqa: E402
from studies.leak_worlds import World, draw_answers, draw_pool  # noqa: E402

ANSWERS_PER_FALSE_ALARM = 100_000
"""1% of healthy items accused per 1,000 answers."""
NIGHTS_PER_FALSE_ALARM, ANSWERS_PER_NIGHT = 10_000, 70
SHARES = {0.2: 2500, 0.3: 2000, 0.5: 1500, 0.8: 1000}
"""Shares of leaked answers, and how many answers are waited for."""
BLOCK = 1000
"""Items simulated at a time."""
KNOWN_FACTOR = 6
"""So many times more runs where parameters are known."""


def detector_of(world: World) -> LeakModel:
    """The detector, with one node where there is no error to integrate over."""
    if world.is_known:
        return LeakModel(parameter_nodes=(1, 1), time_nodes=1)
    return LeakModel() if world.is_timed else LeakModel(time_nodes=1)


def answers_until_alarm(
    world: World, rate: float, count: int, answers: int, leaked_share: float, seed: int
) -> FloatArray:
    """Answers until each of `count` items' alarms, infinite without; the leak begins at once."""
    generator, model = np.random.default_rng(seed), detector_of(world)
    found = []
    for begin in range(0, count, BLOCK):
        pool = draw_pool(world, min(BLOCK, count - begin), generator)
        n_items = len(pool.truth)
        _, alarm = advance(
            DetectorState.at_zero(n_items, model),
            0,
            draw_answers(pool, world, answers, leaked_share, generator),
            pool.knowledge,
            alarm_thresholds(model, np.full(n_items, rate), np.full(n_items, world.is_timed)),
            model,
        )
        found.append(np.where(alarm >= 0, alarm + 1.0, np.inf))
    return np.concatenate(found)


def false_alarms_by_night(world: World, item_nights: int, nights: int, seed: int) -> int:
    """Alarms on healthy items that are watched night by night at the default rate."""
    generator, model = np.random.default_rng(seed), detector_of(world)
    alarms = 0
    for _ in range(item_nights // (nights * BLOCK)):
        pool = draw_pool(world, BLOCK, generator)
        state = DetectorState.at_zero(BLOCK, model)
        rate = np.full(BLOCK, float(NIGHTS_PER_FALSE_ALARM * ANSWERS_PER_NIGHT))
        thresholds = alarm_thresholds(model, rate, np.full(BLOCK, world.is_timed))
        for night in range(nights):
            answers = draw_answers(pool, world, ANSWERS_PER_NIGHT, 0.0, generator)
            state, _ = advance(state, night, answers, pool.knowledge, thresholds, model)
        alarms += int(state.is_alarmed.sum())
    return alarms


def _figures(delays: FloatArray) -> str:
    median, late = np.quantile(delays, [0.5, 0.95], method="higher")
    return "/".join(f"{value:.0f}" if np.isfinite(value) else "—" for value in (median, late))


def _print_delays(world: World, runs: int, healthy: int) -> None:
    if world.is_known:  # one node costs little
        runs, healthy = KNOWN_FACTOR * runs, KNOWN_FACTOR * healthy
    rate = float(ANSWERS_PER_FALSE_ALARM)
    alarms = np.isfinite(answers_until_alarm(world, rate, healthy, 1000, 0.0, seed=1)).mean()
    cells = [
        _figures(answers_until_alarm(world, rate, runs, answers, share, seed=2))
        for share, answers in SHARES.items()
    ]
    click.echo(f"| {world.name} | {alarms:.2%} | " + " | ".join(cells) + " |")


@click.command()
@click.option(
    "--runs", default=500, show_default=True, help="Leaked items per figure, if estimated."
)
@click.option(
    "--healthy", default=4000, show_default=True, help="Healthy items per rate, if estimated."
)
@click.option("--nights", default=120_000, show_default=True, help="Item-nights per nightly rate.")
@click.option("--programmes", default=2, show_default=True, help="Simulated programmes.")
def main(runs: int, healthy: int, nights: int, programmes: int) -> None:
    """Print the tables."""
    click.echo("Set: 1% false alarms per item and 1,000 answers. Answers until alarm, median/95th.")
    click.echo("| | false alarms | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |")
    click.echo("|---" * (2 + len(SHARES)) + "|")
    for is_timed in (False, True):
        for is_known in (True, False):
            for is_targeted in (False, True):
                _print_delays(World(is_timed, is_known, is_targeted), runs, healthy)
    click.echo(
        "\nSet: 1 false alarm in 10,000 item-nights of 70 answers. Half of the answers leak."
    )
    rate = float(NIGHTS_PER_FALSE_ALARM * ANSWERS_PER_NIGHT)
    for is_timed in (True, False):
        world = World(is_timed, is_known=False, is_targeted=True)
        delays = answers_until_alarm(world, rate, runs, 1500, 0.5, seed=3)
        within = np.mean(delays <= 2 * ANSWERS_PER_NIGHT)
        alarms = false_alarms_by_night(world, nights, 30, seed=4)
        click.echo(
            f"{world.name}: {_figures(delays)} answers, {within:.1%} within 48 hours; "
            f"{alarms} false alarms in {nights} item-nights"
        )
    click.echo("\nWhole sessions: abilities, speeds and usual times estimated from the answers.")
    click.echo(detection_in_sessions(runs=programmes, seed=5))


if __name__ == "__main__":
    main()
