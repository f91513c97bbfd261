"""What the estimate of an item should be the mode of: the table of docs/estimation.md.

    python studies/which_mode.py [--draws 4]

Nights of the benchmark (2,400 items, 290 anchors, 20,000 adaptive sessions of 30 answers), once
with an engine that selects by the true parameters, once with one that knows nothing of the items.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, Python looks in this folder alone
    sys.path.insert(0, str(ROOT))

from calibration_pipeline.irt.configuration import EMConfiguration  # noqa: E402
from calibration_pipeline.irt.em import fit  # noqa: E402
from calibration_pipeline.irt.model import FloatArray, from_internal, to_internal  # noqa: E402
from calibration_pipeline.irt.population import Population  # noqa: E402
from calibration_pipeline.irt.priors import ItemPriors  # noqa: E402
from calibration_pipeline.irt.problem import ItemProblem  # noqa: E402
from calibration_pipeline.irt.responses import ResponseData  # noqa: E402
from calibration_pipeline.irt.simulation import SelectionRule, simulate_sessions  # noqa: E402

ITEMS, ANCHORS, SESSIONS, ANSWERS = 2400, 290, 20_000, 30
COMPARED_ANSWERS = 300


@dataclass(frozen=True)
class Night:
    """A simulated night; `compared` are the items with enough answers that are no anchors."""

    truth: FloatArray
    data: ResponseData
    problem: ItemProblem
    compared: np.ndarray


def draw_items(generator: np.random.Generator) -> FloatArray:
    """Items of the benchmark's pool, ``(ITEMS, 3)``."""
    return np.column_stack(
        [
            generator.lognormal(0.2, 0.3, ITEMS).clip(0.4, 2.5),
            generator.normal(0, 1, ITEMS),
            generator.uniform(0.1, 0.3, ITEMS),
        ]
    )


def simulate_night(seed: int, engine_knows: bool) -> Night:
    """Simulate one night."""
    generator = np.random.default_rng(seed)
    truth = draw_items(generator)
    abilities = generator.normal(0, 1, SESSIONS)
    engine = truth if engine_knows else draw_items(generator)
    sessions = simulate_sessions(abilities, truth, engine, SelectionRule(), generator)
    offsets = np.arange(SESSIONS + 1) * ANSWERS
    data = ResponseData(offsets, sessions.item.ravel(), sessions.correct.ravel(), ITEMS)
    is_anchor = np.zeros(ITEMS, bool)
    is_anchor[generator.choice(ITEMS, ANCHORS, replace=False)] = True
    anchors = to_internal(truth[is_anchor])
    mean, sd = anchors.mean(axis=0), anchors.std(axis=0, ddof=1)
    free = np.repeat(~is_anchor[:, None], 3, axis=1)
    start = np.where(free, from_internal(mean[None], np.ones(1, bool)), truth)
    problem = ItemProblem(start, free, ItemPriors.normal(mean, sd, free))
    return Night(truth, data, problem, ~is_anchor & (data.item_counts >= COMPARED_ANSWERS))


def figures(night: Night, priors: ItemPriors, integrates_items: bool) -> list[float]:
    """Population variance, bias of log a, and RMSE of a and b."""
    population = Population(mean_is_estimated=True, sd_is_estimated=True)
    configuration = EMConfiguration(integrates_items=integrates_items)
    found = fit(night.data, replace(night.problem, priors=priors), population, configuration)
    estimate, truth = found.parameters[night.compared], night.truth[night.compared]
    errors = np.sqrt(np.square(estimate - truth).mean(axis=0))
    bias = np.log(estimate[:, 0] / truth[:, 0]).mean()
    return [float(found.population.sd[0] ** 2), float(bias), float(errors[0]), float(errors[1])]


@click.command()
@click.option("--draws", default=4, show_default=True, help="Nights per row.")
def main(draws: int) -> None:
    """Print one row per kind of engine and mode."""
    click.echo("population variance, bias of log a, RMSE a, RMSE b")
    for engine_knows in (True, False):
        rows: dict[str, list[list[float]]] = {}
        for seed in range(1, draws + 1):
            night = simulate_night(seed, engine_knows)
            over_b = night.problem.priors
            over_intercepts = over_b.over_intercepts(night.problem.free)
            for name, priors, integrates in (
                ("joint mode over b", over_b, False),
                ("spread integrated", over_b, True),
                ("joint mode over intercepts", over_intercepts, False),
            ):
                rows.setdefault(name, []).append(figures(night, priors, integrates))
        click.echo(f"engine {'selects by the truth' if engine_knows else 'knows nothing'}")
        for name, found in rows.items():
            mean = np.mean(found, axis=0)
            click.echo(f"  {name:28s}" + " ".join(f"{value:7.3f}" for value in mean))


if __name__ == "__main__":
    main()
