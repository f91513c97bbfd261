"""What the cross-checks cost and find on a full night: 2,400 items, 20,000 sessions of 30 answers.

Run it with the extra `bayes` installed: ``python -m studies.cross_checks``. It prints the seconds
that 50 items' exact posteriors and py-irt's opinion take on one thread, and how they agree with a
fit of the same answers (docs/second-opinion.md).
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TypeVar

import numpy as np

from calibration_pipeline.bayes.posterior_sampling import SamplerSettings, sample_posteriors
from calibration_pipeline.bayes.second_opinion import second_opinion
from calibration_pipeline.irt.em import EMResult
from calibration_pipeline.irt.expectation import marginal_derivatives
from calibration_pipeline.irt.item_posterior import ItemPosterior, item_evidence
from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.cross_check_configuration import (
    AuditConfiguration,
    SecondOpinionConfiguration,
)
from calibration_pipeline.policy.posterior_audit import AuditedItem
from calibration_pipeline.policy.posterior_comparison import compare_posterior, judge_audit
from calibration_pipeline.policy.second_opinion import Agreement, agreement, sampled_sessions
from calibration_pipeline_tests.irt.problems import FREE, SETTINGS, adaptive_night, fit_quietly

AUDIT, OPINION = AuditConfiguration(), SecondOpinionConfiguration()
_Found = TypeVar("_Found")


def main() -> None:
    """Fit a night, audit it, ask py-irt, and say how long each took."""
    truth, data, problem, is_anchor = adaptive_night(1)
    result = timed("fit", lambda: fit_quietly(data, problem, FREE))
    rows = np.flatnonzero(~is_anchor & (data.item_counts >= AUDIT.least_answers))
    chosen = np.random.default_rng(1).choice(rows, AUDIT.items, replace=False)
    say(timed("audit of 50 items", lambda: audit(data, problem, result, chosen)))
    sample = sampled_sessions(data, OPINION, seed=1)
    opinion = timed("second opinion", lambda: second_opinion(sample, OPINION.epochs, seed=1))
    for name, parameters in (("our estimates", result.parameters), ("the truth", truth)):
        found = agreement(
            sample, parameters, opinion.discrimination, opinion.difficulty, OPINION, 1.0
        )
        say(f"py-irt against {name}: {stated(found)}")


def audit(data: ResponseData, problem: ItemProblem, result: EMResult, chosen: np.ndarray) -> str:
    """Sample some items' exact posteriors and judge their Gaussians."""
    if not isinstance(result.priors, ItemPriors):
        raise TypeError("the fit of an anchored night has fixed priors")
    found = marginal_derivatives(data, result.parameters, result.population, SETTINGS)
    covariances = result.priors.posterior_covariance(problem.free, found.information)
    centres = to_internal(result.parameters)
    items = [
        AuditedItem(
            (f"item-{j}", 1),
            False,
            ItemPosterior(
                item_evidence(data, int(j), result.parameters, result.population, SETTINGS),
                result.priors.precision[j],
                result.priors.linear[j],
                problem.free[j],
                has_guessing=True,
            ),
            centres[j],
            covariances[j],
            covariances[j],
        )
        for j in chosen
    ]
    sampled = sample_posteriors(
        [item.posterior for item in items],
        centres[chosen],
        covariances[chosen],
        SamplerSettings(AUDIT.chains, AUDIT.warmup, AUDIT.draws),
    )
    compared = [
        compare_posterior(item, of.draws, of.r_hat, of.effective_draws, AUDIT)
        for item, of in zip(items, sampled, strict=True)
    ]
    for item in filter(lambda item: item.is_poor, compared):
        say(f"  {item.n_answers} answers: {'; '.join(item.reasons)}")
    worst = max(float(item.r_hat.max()) for item in compared)
    fewest = min(float(item.effective_draws.min()) for item in compared)
    verdict = judge_audit(compared, AUDIT).detail
    return f"{verdict}; highest R-hat {worst:.3f}, fewest effective draws {fewest:.0f}"


def timed(name: str, work: Callable[[], _Found]) -> _Found:
    """Do some work and say how long it took."""
    began, worked = time.perf_counter(), time.process_time()
    found = work()
    spent = time.process_time() - worked
    say(f"{name}: {time.perf_counter() - began:.1f} s, of which computing {spent:.1f} s")
    return found


def stated(found: Agreement | None) -> dict[str, float]:
    """Give the figures of an agreement."""
    figures = asdict(found) if found else {}
    return {name: round(value, 3) for name, value in figures.items() if isinstance(value, float)}


def say(text: object) -> None:
    """Print at once: the next step takes a minute."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
