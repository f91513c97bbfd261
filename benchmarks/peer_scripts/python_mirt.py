"""Python `mirt`: marginal maximum likelihood, with priors if asked, or with fixed items.

Standard errors are left out: with thousands of parameters they cost far more than the fit.
"""

import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from exchange import Answers, read_answers, unavailable, write_estimate

try:
    import mirt
    from mirt.estimation.priors import CustomPrior, LogNormalPrior, NormalPrior
except ImportError:
    unavailable()


def priors_of(answers: Answers) -> dict[str, object]:
    """Log-normal a, normal b, and c normal on the logit scale."""
    (a_mean, a_sd), (b_mean, b_sd), (c_mean, c_sd) = answers.prior

    def deviation(c: Any) -> Any:
        inside = np.clip(c, 1e-9, 1 - 1e-9)
        return (np.log(inside / (1 - inside)) - c_mean) / c_sd

    def log_density(c: Any) -> Any:
        return -0.5 * deviation(c) ** 2

    def gradient(c: Any) -> Any:
        inside = np.clip(c, 1e-9, 1 - 1e-9)
        return -deviation(c) / (c_sd * inside * (1 - inside))

    centre = float(1 / (1 + np.exp(-c_mean)))
    guessing = CustomPrior(
        log_density, None, centre, (c_sd * centre * (1 - centre)) ** 2, grad_log_pdf_fn=gradient
    )
    return {
        "discrimination": LogNormalPrior(float(a_mean), float(a_sd)),
        "difficulty": NormalPrior(float(b_mean), float(b_sd)),
        "guessing": guessing,
    }


def main() -> None:
    """Fit a case: FOLDER OUTPUT (plain | priors | anchors)."""
    answers, mode = read_answers(), sys.argv[3]
    population = None
    started = time.perf_counter()
    if mode == "anchors":
        known = answers.known[answers.anchors]
        names = ("discrimination", "difficulty", "guessing")
        model = mirt.ThreeParameterLogistic(n_items=len(answers.known))
        calibrated = mirt.fixed_item_calibration(
            answers.matrix,
            model,
            answers.anchors,
            {name: known[:, k] for k, name in enumerate(names)},
            compute_standard_errors=False,
        )
        fit = calibrated.fit_result
        population = (calibrated.latent_mean.item(), calibrated.latent_cov.item() ** 0.5)
    else:
        fit = mirt.fit_mirt(
            answers.matrix,
            model="3PL",
            priors=priors_of(answers) if mode == "priors" else None,
            accelerate="squarem" if mode == "priors" else "none",
            compute_standard_errors=False,
        )
    seconds = time.perf_counter() - started
    found = fit.model.parameters
    write_estimate(
        found["discrimination"], found["difficulty"], found["guessing"],
        seconds=seconds, version=version("mirt"), population=population,
        note=f"{fit.n_iterations} cycles" + ("" if fit.converged else ", not converged"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
