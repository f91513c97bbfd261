"""The cycles of parameter-expanded EM, accelerated.

Maximises  marginal log-likelihood(φ, population) + log prior(φ)  (+ log hyperprior)  by

1. E-step: expected counts at the current values (`expectation.expect`),
2. M-step: every item by Fisher scoring on its expected counts and its prior, and the population
   from the expected mass over abilities,
3. where no fixed item and no item-specific prior holds the scale, an expansion: the population
   just estimated is brought back to its fixed values by moving items and learned prior with it
   (Liu, Rubin & Wu 1998, Biometrika 85, 755–770),
4. Anderson mixing of the last cycles.

Every cycle knows the objective of the one before: one that lowered it is replaced by its plain
EM step, which can't.
"""

from dataclasses import dataclass, replace

import numpy as np

from calibration_pipeline.irt import item_kernels
from calibration_pipeline.irt.acceleration import AndersonMixing
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.expectation import Expectation, expect
from calibration_pipeline.irt.model import FloatArray, from_internal, to_internal
from calibration_pipeline.irt.population import Population, node_spacing
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline.irt.problem import (
    CycleDiagnostics,
    End,
    Evaluation,
    ItemProblem,
    Tilt,
    Values,
)
from calibration_pipeline.irt.responses import ResponseData

SCORING_STEPS = 5
ANDERSON_MEMORY = 6
LARGEST_MIXING_STEP = 5.0
"""A combination that moves any coordinate further has lost its way."""
EXPANSION_DAMPING = 0.7
"""Each expansion that lowered the objective shortens the later ones: the scale has settled."""
BOUND_FREEDOM = 10.0
"""How far an unbounded fit may go: a factor of a, a distance of b."""
OBJECTIVE_TOLERANCE = 1e-9
"""A fall of the objective smaller than this share of its size is rounding."""


@dataclass(frozen=True)
class Cycles:
    """The iteration on one data set.

    Attributes
    ----------
    data, problem, configuration
        As in `em.fit`.
    is_bounded
        Keep within the configured bounds; otherwise within much wider ones. A bound states a
        scale: an expansion that it cuts short costs likelihood.
    """

    data: ResponseData
    problem: ItemProblem
    configuration: EMConfiguration
    is_bounded: bool = True

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds of φ, ``(3,)`` each."""
        settings = self.configuration
        (a_low, a_high), (b_low, b_high) = (
            settings.discrimination_bounds,
            settings.difficulty_bounds,
        )
        if not self.is_bounded:
            a_low, a_high = a_low / BOUND_FREEDOM, a_high * BOUND_FREEDOM
            b_low, b_high = b_low - BOUND_FREEDOM, b_high + BOUND_FREEDOM
        corners = [(a_low, a_high), (b_low, b_high), settings.guessing_bounds]
        lower, upper = to_internal(np.array(corners).T)
        return lower, upper

    def within_bounds(self, internal: FloatArray) -> FloatArray:
        """Clip what is free."""
        return np.where(self.problem.free, np.clip(internal, *self.bounds), internal)

    def start(self, population: Population) -> Values:
        """Begin at the problem's starting values."""
        internal = self.within_bounds(to_internal(self.problem.start))
        return Values(internal, population, self.problem.priors)

    def run(self, values: Values, phase: str, tilt: Tilt) -> End:
        """Repeat E- and M-step until nothing moves, or the limit is reached."""
        is_untouched = not tilt.holds_scale and tilt.linear is None  # a pull is tied to the scale
        expands = is_untouched and self.may_expand(values.population)
        mixing = AndersonMixing(ANDERSON_MEMORY)
        fallbacks: list[Values] = []
        best: Evaluation | None = None
        damping, change = 1.0, np.inf
        trace: list[CycleDiagnostics] = []
        for cycle in range(1, self.configuration.maximum_cycles + 1):
            found = self.evaluate(values, tilt)
            is_undone = best is not None and bool(fallbacks) and _has_fallen(found, best)
            if is_undone:
                values = fallbacks.pop(0)
                if expands and not fallbacks:
                    damping *= EXPANSION_DAMPING
                mixing.forget()
            else:
                best = found if best is None or found.objective > best.objective else best
                plain = image = self._maximize(values, found.expectation, tilt)
                fallbacks = [plain]
                if expands:
                    image = self._expand(values, plain, found.expectation, damping, tilt)
                    fallbacks = [image, self._without_expansion(plain, image)]
                    expands = self._may_go_on(image)
                change = self._largest_change(found, values, image)
                values = self._mixed(mixing, values, image)
            kept = best if is_undone and best is not None else found
            trace.append(_diagnostics(cycle, phase, kept, change, is_undone))
            if change < self.configuration.tolerance:
                break
        last = self.evaluate(values, tilt)
        while fallbacks and best is not None and _has_fallen(last, best):
            values = fallbacks.pop(0)
            last = self.evaluate(values, tilt)
        return End(values, last, change < self.configuration.tolerance, tuple(trace))

    def evaluate(self, values: Values, tilt: Tilt) -> Evaluation:
        """E-step and objective at these values."""
        parameters = from_internal(values.internal, self.problem.has_guessing)
        expectation = expect(self.data, parameters, values.population, self.configuration)
        priors, free = values.priors, self.problem.free
        objective = expectation.log_likelihood + (
            priors.log_density(values.internal, free)
            if isinstance(priors, LearnedPrior)
            else priors.log_density(values.internal)
        )
        if tilt.linear is not None:
            objective += float((tilt.linear * values.internal).sum())
        if tilt.spread:
            share = self._group_shares(values.population, expectation)
            objective += tilt.spread * float(share @ np.log(values.population.sd))
        return Evaluation(parameters, expectation, objective)

    def _group_shares(self, population: Population, expectation: Expectation) -> FloatArray:
        sessions = expectation.mass.sum(axis=1)
        group = self.data.population_cells.group
        return np.asarray(np.bincount(group, sessions, population.n_groups) / sessions.sum())

    def may_expand(self, population: Population) -> bool:
        """Rescaling is free of charge only if nothing but the population holds the scale."""
        priors = self.problem.priors
        holds_scale = isinstance(priors, ItemPriors) and bool(priors.precision.any())
        all_free = bool(self.problem.free[:, 1].all())
        return all_free and not holds_scale and not population.mean_is_estimated

    def _maximize(self, values: Values, expectation: Expectation, tilt: Tilt) -> Values:
        """Items, learned prior and population, each given the expected counts."""
        priors, free = values.priors, self.problem.free
        of_items = priors.for_items(free)
        linear = of_items.linear if tilt.linear is None else of_items.linear + tilt.linear
        internal = values.internal.copy()
        item_kernels.maximize_items(
            expectation.counts, expectation.nodes, internal, free, self.problem.has_guessing,
            self.configuration.scaling_constant, of_items.precision, linear,
            *self.bounds, SCORING_STEPS,
        )  # fmt: skip
        if isinstance(priors, LearnedPrior):
            priors = priors.updated(internal, free)
        cells = self.data.population_cells
        population = values.population.updated(
            expectation.nodes, cells, expectation.mass, tilt.spread
        )
        if tilt.holds_scale:
            population = values.population
        elif tilt.holds_sd:
            population = replace(population, sd=values.population.sd)
        return Values(internal, population, priors)

    def _expand(
        self, before: Values, plain: Values, expectation: Expectation, damping: float, tilt: Tilt
    ) -> Values:
        """Bring the population found back to its fixed mean, and sd where slopes can absorb it."""
        free, cells, population = self.problem.free, self.data.population_cells, plain.population
        sessions = expectation.mass.sum(axis=1)
        target_mean, target_sd = before.population.pooled(cells, sessions)
        found = replace(population, mean_is_estimated=True, sd_is_estimated=True).updated(
            expectation.nodes, cells, expectation.mass, tilt.spread
        )
        mean, sd = found.pooled(cells, sessions)
        slopes_move = not population.sd_is_estimated and bool(free[:, 0].all())
        slope = target_sd / sd if slopes_move else 1.0
        intercept = target_mean - slope * mean
        if population.has_contrasts or population.sd_is_estimated:
            moved = found.rescaled(slope, intercept)
            sd_of_groups = before.population.sd if tilt.holds_sd else moved.sd
            population = replace(population, mean=moved.mean, slope=moved.slope, sd=sd_of_groups)
        slope, intercept = slope**damping, intercept * damping
        return replace(self._rescaled(plain, slope, intercept), population=population)

    def _rescaled(self, values: Values, slope: float, intercept: float) -> Values:
        """State everything on the scale θ* = slope · θ + intercept."""
        internal, priors = values.internal.copy(), values.priors
        internal[:, 0] -= np.log(slope)
        internal[:, 1] = slope * internal[:, 1] + intercept
        if isinstance(priors, LearnedPrior):
            priors = priors.rescaled(slope, intercept)
        population = values.population.rescaled(slope, intercept)
        return Values(self.within_bounds(internal), population, priors)

    def _on_scale_of(self, values: Values, image: Values) -> Values:
        """Bring groups that hold the scale together back to it: a mean of spreads has another."""
        population, cells = image.population, self.data.population_cells
        holds_scale = self.may_expand(population) and not population.sd_is_estimated
        if not (holds_scale and population.has_contrasts and self.problem.free[:, 0].all()):
            return values
        sessions = np.bincount(cells.cell, minlength=len(cells.group)).astype(float)
        mean, sd = values.population.pooled(cells, sessions)
        target_mean, target_sd = population.pooled(cells, sessions)
        slope = target_sd / sd
        return self._rescaled(values, slope, target_mean - slope * mean)

    def _may_go_on(self, image: Values) -> bool:
        """An expansion that a bound cuts short costs likelihood; groups need it all the same."""
        is_cut = (image.internal <= self.bounds[0]) | (image.internal >= self.bounds[1])
        is_cut &= self.problem.free & np.array([True, True, False])
        return image.population.has_contrasts or not bool(is_cut.any())

    def _without_expansion(self, plain: Values, image: Values) -> Values:
        """The EM step alone; groups have no common scale of their own, and keep the expanded."""
        if plain.population.has_contrasts:
            return replace(plain, population=image.population)
        return plain

    def _largest_change(self, found: Evaluation, values: Values, image: Values) -> float:
        """Of items and population: where every item is fixed, it alone moves."""
        after = from_internal(image.internal, self.problem.has_guessing)
        items = float(np.abs(after - found.parameters).max(initial=0.0))
        before, population = values.population, image.population
        moved = [population.mean - before.mean, population.slope - before.slope]
        moved.append(population.sd - before.sd)
        return max(items, float(np.abs(moved).max()))

    def _mixed(self, mixing: AndersonMixing, values: Values, image: Values) -> Values:
        """Combine the last cycles; bounds hold whatever the combination says."""
        unmixed = self._to_vector(image)
        vector = mixing.propose(self._to_vector(values), unmixed)
        if not (np.abs(vector - unmixed) <= LARGEST_MIXING_STEP).all():
            mixing.forget()
            return image
        free, population, priors = self.problem.free, image.population, image.priors
        n_free, n_groups = int(free.sum()), population.n_groups
        internal = image.internal.copy()
        internal[free] = vector[:n_free]
        mean, slope, log_sd = vector[n_free : n_free + 3 * n_groups].reshape(3, n_groups)
        sd = np.maximum(np.exp(log_sd), node_spacing(self.configuration))
        population = replace(population, mean=mean, slope=slope, sd=sd)
        if isinstance(priors, LearnedPrior):
            location, log_spread = vector[n_free + 3 * n_groups :].reshape(2, 3)
            priors = replace(priors, mean=location, sd=np.exp(log_spread))
        return self._on_scale_of(Values(self.within_bounds(internal), population, priors), image)

    def _to_vector(self, values: Values) -> FloatArray:
        population, priors = values.population, values.priors
        parts = [values.internal[self.problem.free], population.mean, population.slope]
        parts.append(np.log(population.sd))
        if isinstance(priors, LearnedPrior):
            parts += [priors.mean, np.log(priors.sd)]
        return np.concatenate(parts)


def _diagnostics(
    cycle: int, phase: str, kept: Evaluation, change: float, is_undone: bool
) -> CycleDiagnostics:
    likelihood = kept.expectation.log_likelihood
    return CycleDiagnostics(cycle, phase, kept.objective, likelihood, change, is_undone)


def _has_fallen(found: Evaluation, best: Evaluation) -> bool:
    return found.objective < best.objective - OBJECTIVE_TOLERANCE * abs(best.objective)
