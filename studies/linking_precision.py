"""How near robust linking comes to the true constants, and how often its intervals hold them.

    python studies/linking_precision.py

Two parts: common items whose estimates have drawn errors, and nights in which everything is
estimated from simulated adaptive sessions. What came out is in docs/linking.md.
"""

import sys
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, Python looks in this folder alone
    sys.path.insert(0, str(ROOT))

from calibration_pipeline.irt.linking import LinkingConstants  # noqa: E402
from calibration_pipeline.irt.linking_estimates import (  # noqa: E402
    CommonItems,
    EstimatedLink,
    link_plainly,
)
from calibration_pipeline.irt.model import FloatArray  # noqa: E402
from calibration_pipeline.irt.robust_linking import Rejection, link_robustly  # noqa: E402
from calibration_pipeline.policy.configuration import CalibrationConfiguration  # noqa: E402
from calibration_pipeline.policy.links import link_scales  # noqa: E402
from calibration_pipeline_tests.irt.common_items import on_new_scale, with_errors  # noqa: E402
from calibration_pipeline_tests.simulated import (  # noqa: E402
    Traffic,
    draw_items,
    make_pool,
    run_nights,
    simulate_days,
)

CONSTANTS = LinkingConstants(1.05, -0.1)
ANCHORS, DRIFTED, DRIFT = 288, 29, -0.4
TWO_SIDED_95 = 1.959964
LINKS = {
    "left in, equal": CalibrationConfiguration(
        linking_corrects_attenuation=False, linking_weights="equal"
    ),
    "corrected, equal": CalibrationConfiguration(linking_weights="equal"),
    "corrected, by precision": CalibrationConfiguration(),
}
"""Ways to link a night; the last is what is done by default."""


def drawn_items(
    truth: FloatArray, error: float, drifted: int, generator: np.random.Generator
) -> CommonItems:
    """Common items with errors of log a and b on the new side; the first ones have drifted."""
    moved = truth.copy()
    moved[:drifted, 1] += DRIFT
    errors = np.array([error, error, 0.0])
    new = with_errors(on_new_scale(moved, CONSTANTS), errors, generator)
    covariance = np.tile(np.diag(errors**2), (len(truth), 1, 1))
    return CommonItems(new, truth, covariance, np.zeros_like(covariance), corrects_attenuation=True)


def missed(link: EstimatedLink) -> FloatArray:
    """Estimated minus true slope and intercept."""
    found = link.constants
    return np.array([found.slope - CONSTANTS.slope, found.intercept - CONSTANTS.intercept])


def print_drift(repeats: int) -> None:
    """Print errors with a tenth of the anchors drifted, by the error of an anchor."""
    click.echo("\n| SE of an anchor | link | mean error | root mean square | within .02 |")
    click.echo("|---|---|---|---|---|")
    for error in (0.06, 0.08, 0.1, 0.12, 0.15):
        generator = np.random.default_rng(1)
        truth = draw_items(ANCHORS, generator)
        drawn = [drawn_items(truth, error, DRIFTED, generator) for _ in range(repeats)]
        for name, links in (
            ("all anchors", [link_plainly(items) for items in drawn]),
            ("robust", [link_robustly(items, Rejection()) for items in drawn]),
        ):
            errors = np.array([missed(link) for link in links])
            mean, size = errors.mean(axis=0), np.sqrt((errors**2).mean(axis=0))
            share = (np.abs(errors) < 0.02).all(axis=1).mean()
            click.echo(
                f"| {error} | {name} | {mean[0]:+.4f}, {mean[1]:+.4f} | "
                f"{size[0]:.4f}, {size[1]:.4f} | {share:.0%} |"
            )


def print_coverage(repeats: int) -> None:
    """Print how often the 95% intervals hold slope and intercept, without drift."""
    click.echo("\n| common items | attenuation | all of them | robust |")
    click.echo("|---|---|---|---|")
    for count in (12, 60, ANCHORS):
        for is_corrected in (False, True):
            generator = np.random.default_rng(2)
            truth = draw_items(count, generator)
            covered = np.zeros((2, 2))
            for _ in range(repeats):
                items = drawn_items(truth, 0.1, 0, generator)
                items = replace(items, corrects_attenuation=is_corrected)
                for row, link in enumerate(
                    (link_plainly(items), link_robustly(items, Rejection()))
                ):
                    covered[row] += np.abs(missed(link)) <= TWO_SIDED_95 * link.standard_errors
            plain, robust = covered / repeats
            click.echo(
                f"| {count} | {'corrected' if is_corrected else 'left in'} | "
                f"{plain[0]:.1%}, {plain[1]:.1%} | {robust[0]:.1%}, {robust[1]:.1%} |"
            )


def print_nights(repeats: int) -> None:
    """Print the free items' errors on nights fitted to answers, before and after the link."""
    click.echo(
        "\n| night | attenuation, weights | before | after | slope, intercept | ± | left out |"
    )
    click.echo("|---|---|---|---|---|---|---|")
    for drifted in (0, DRIFTED):
        rows = np.array([_night(seed, drifted) for seed in range(repeats)])
        for name, figures in zip(LINKS, rows.mean(axis=0), strict=True):
            bias, stretch, after, stretched, slope, intercept, slope_se, se, left_out = figures
            click.echo(
                f"| {drifted} of {ANCHORS} drifted | {name} "
                f"| {bias:+.3f}, ×{stretch:.3f} | {after:+.3f}, ×{stretched:.3f} "
                f"| {slope:.3f}, {intercept:+.3f} | {slope_se:.4f}, {se:.4f} | {left_out:.0f} |"
            )


def _night(seed: int, drifted: int) -> list[tuple[float, ...]]:
    """One night, linked in several ways: errors of free items' b, and slopes on the truth."""
    generator = np.random.default_rng(seed)
    pool = make_pool(600, ANCHORS, generator)
    truth = pool.truth.copy()
    truth[np.flatnonzero(pool.is_anchor)[:drifted], 1] += DRIFT
    traffic = Traffic(sessions=10_000, answers=30, pool_share=0.1)
    days = simulate_days(replace(pool, truth=truth), 1, generator, traffic)
    (state,) = run_nights(pool, days, CalibrationConfiguration())
    free = ~state.is_anchor & (state.window_counts >= 300)
    before, known = state.parameters[free, 1], truth[free, 1]
    rows = []
    for settings in LINKS.values():
        (link,) = link_scales(state, [], pool.bank, pool.anchors, settings)
        figures: list[float] = []
        for found in (before, link.slope * before + link.intercept):
            figures += [(found - known).mean(), np.polyfit(known, found, 1)[0]]
        constants = (link.slope, link.intercept, link.slope_se, link.intercept_se)
        rows.append((*figures, *constants, float(len(link.anchors_left_out))))
    return rows


@click.command()
@click.option("--repeats", default=200, show_default=True, help="Draws of errors per line.")
@click.option("--nights", default=10, show_default=True, help="Nights per line.")
def main(repeats: int, nights: int) -> None:
    """Print the tables of docs/linking.md."""
    print_drift(repeats)
    print_coverage(repeats)
    print_nights(nights)


if __name__ == "__main__":
    main()
