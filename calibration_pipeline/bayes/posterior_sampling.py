"""NUTS on the exact posteriors of items: what their Gaussians are held against.

Items are independent given all others, so a batch of them is one target, and several chains of each
are copies of the item in it: a step of the sampler is then two products of matrices, whatever the
number of items. Every copy is sampled in coordinates in which its Gaussian is N(0, 1), which lets
one step size fit all; the draws are given back as φ = (log a, b, logit c).

Source: Hoffman & Gelman (2014), *Journal of Machine Learning Research* 15, 1593–1623; diagnostics
by split chains, Gelman et al. (2013), *Bayesian Data Analysis*, ch. 11.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyro
import torch
from pyro.infer import MCMC, NUTS
from pyro.ops.stats import effective_sample_size, split_gelman_rubin
from torch import Tensor

from calibration_pipeline.irt.item_posterior import ItemEvidence, ItemPosterior
from calibration_pipeline.irt.model import FloatArray

_START_SPREAD = 1.5
"""Of the chains' starts, in standard deviations of the Gaussian: wider than what is sampled."""
_LEAST = 1e-12
_SITE = "items"


@dataclass(frozen=True)
class SamplerSettings:
    """How long and how often is sampled.

    Attributes
    ----------
    chains
        Of each item.
    warmup, draws
        Steps of each chain before and after its step size is settled.
    batch
        Items sampled together; those with most answers first.
    seed
        Of Pyro's generator.
    """

    chains: int = 4
    warmup: int = 100
    draws: int = 200
    batch: int = 25
    seed: int = 0


@dataclass(frozen=True)
class SampledPosterior:
    """Draws from one item's posterior.

    Attributes
    ----------
    draws
        ``(chains, draws, 3)`` of φ; a coordinate that isn't free stays where it was.
    r_hat
        ``(3,)`` split-chain potential scale reduction; 1 where nothing was sampled.
    effective_draws
        ``(3,)`` effective sample size; infinite where nothing was sampled.
    """

    draws: FloatArray
    r_hat: FloatArray
    effective_draws: FloatArray


def sample_posteriors(
    posteriors: Sequence[ItemPosterior],
    centres: FloatArray,
    covariances: FloatArray,
    settings: SamplerSettings,
    tell: Callable[[int], None] = lambda _: None,
) -> list[SampledPosterior]:
    """Sample items' posteriors; the same seed gives the same draws.

    Parameters
    ----------
    posteriors
        Of the items; at least one coordinate of each is free.
    centres, covariances
        ``(n_items, 3)`` and ``(n_items, 3, 3)`` Gaussians of φ that set the coordinates and the
        starts. What is drawn doesn't depend on them, how fast does.
    settings
        Chains, draws and seed.
    tell
        Called with the number of items of each batch that is done.
    """
    found: dict[int, SampledPosterior] = {}
    by_size = sorted(range(len(posteriors)), key=lambda j: -posteriors[j].evidence.n_answers)
    with _one_seeded_thread(settings.seed):
        for first in range(0, len(by_size), settings.batch):
            chosen = by_size[first : first + settings.batch]
            target = _Target([posteriors[j] for j in chosen], centres[chosen], covariances[chosen])
            found |= zip(chosen, _sample(target, settings), strict=True)
            tell(len(chosen))
    return [found[j] for j in range(len(posteriors))]


@contextmanager
def _one_seeded_thread(seed: int) -> Iterator[None]:
    """Compute on one thread: sums in another order would give other draws."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pyro.set_rng_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Target:
    """Minus log posterior of a batch, in coordinates in which each item's Gaussian is N(0, 1)."""

    def __init__(
        self, posteriors: Sequence[ItemPosterior], centres: FloatArray, covariances: FloatArray
    ) -> None:
        evidence = [posterior.evidence for posterior in posteriors]
        self.nodes = torch.tensor(evidence[0].nodes)
        self.scaling = evidence[0].scaling_constant
        self.free = torch.tensor(np.stack([posterior.free for posterior in posteriors]))
        self.has_guessing = torch.tensor([posterior.has_guessing for posterior in posteriors])
        self.centre = torch.tensor(np.ascontiguousarray(centres))
        self.roots = torch.tensor(_roots(covariances, self.free.numpy()))
        self.precision = torch.tensor(np.stack([posterior.precision for posterior in posteriors]))
        self.linear = torch.tensor(np.stack([posterior.linear for posterior in posteriors]))
        self.groups = [_Answers(evidence, weight) for weight in _weights(evidence)]

    def internal(self, z: Tensor) -> Tensor:
        """φ of every copy, ``(n_items, chains, 3)``."""
        return self.centre[:, None] + z @ self.roots.transpose(1, 2)

    def __call__(self, sites: dict[str, Tensor]) -> Tensor:
        """Minus log density, summed over copies; Pyro's potential energy."""
        z = sites[_SITE]
        internal = self.internal(z)
        prior = (internal * self.linear[:, None]).sum()
        prior = prior - 0.5 * ((internal @ self.precision) * internal).sum()
        # What isn't free is drawn from N(0, 1) and thrown away.
        idle = 0.5 * (z.square() * ~self.free[:, None]).sum()
        p = self._probabilities(internal)
        return idle - prior - torch.stack([group.log_likelihood(p) for group in self.groups]).sum()

    def _probabilities(self, internal: Tensor) -> Tensor:
        """Of a right answer at every node, ``(n_items, n_nodes, chains)``."""
        log_a, b, logit_c = (part[:, None] for part in internal.unbind(-1))
        steps = self.scaling * log_a.exp() * (self.nodes[None, :, None] - b)
        c = torch.where(self.has_guessing[:, None, None], logit_c.sigmoid(), 0.0)
        return c + (1.0 - c) * steps.sigmoid()


class _Answers:
    """The answers of a batch that count alike, filled up to as many for every item."""

    def __init__(self, evidence: Sequence[ItemEvidence], weight: float) -> None:
        rows = [np.flatnonzero(e.weights == weight) for e in evidence]
        most, n_nodes = max(len(of_item) for of_item in rows), len(evidence[0].nodes)
        ability, right, wrong = np.full((len(evidence), most, n_nodes), 1.0 / n_nodes), [], []
        for j, (e, of_item) in enumerate(zip(evidence, rows, strict=True)):
            ability[j, : len(of_item)] = e.ability_weights[of_item]
            filling = np.zeros(most - len(of_item))
            right.append(np.concatenate([e.correct[of_item] == 1, filling]))
            wrong.append(np.concatenate([e.correct[of_item] == 0, filling]))
        self.weight = weight
        self.ability = torch.tensor(ability)
        self.right = torch.tensor(np.stack(right))[:, :, None]
        self.wrong = torch.tensor(np.stack(wrong))[:, :, None]

    def log_likelihood(self, p: Tensor) -> Tensor:
        """Of all of them; `p` is ``(n_items, n_nodes, chains)``."""
        if self.weight == 1.0:
            of_right = torch.bmm(self.ability, p).clamp(_LEAST, 1.0 - _LEAST)
            of_wrong = 1.0 - of_right
        else:
            of_right = torch.bmm(self.ability, p.clamp(min=_LEAST) ** self.weight)
            of_wrong = torch.bmm(self.ability, (1.0 - p).clamp(min=_LEAST) ** self.weight)
        return (self.right * of_right.log() + self.wrong * of_wrong.log()).sum()


def _weights(evidence: Sequence[ItemEvidence]) -> list[float]:
    """Weights of a batch's answers; those of 0 say nothing."""
    found = np.unique(np.concatenate([e.weights for e in evidence]))
    return [float(weight) for weight in found if weight > 0.0]


def _roots(covariances: FloatArray, free: FloatArray) -> FloatArray:
    """Cholesky factors on the free coordinates, ``(n_items, 3, 3)``; zero elsewhere."""
    roots = np.zeros_like(covariances)
    for j, (covariance, of_item) in enumerate(zip(covariances, free, strict=True)):
        pairs = np.ix_(of_item, of_item)
        roots[j][pairs] = np.linalg.cholesky(covariance[pairs])
    return roots


def _sample(target: _Target, settings: SamplerSettings) -> list[SampledPosterior]:
    start = _START_SPREAD * torch.randn(len(target.centre), settings.chains, 3, dtype=torch.float64)
    sampler = MCMC(
        NUTS(potential_fn=target, max_tree_depth=8, target_accept_prob=0.8),
        num_samples=settings.draws,
        warmup_steps=settings.warmup,
        initial_params={_SITE: start},
        disable_progbar=True,
    )
    sampler.run()
    z = sampler.get_samples()[_SITE]
    # (draws, n_items, chains, 3) to (n_items, chains, draws, 3)
    internal = torch.stack([target.internal(step) for step in z]).permute(1, 2, 0, 3)
    return [_of_item(draws, free) for draws, free in zip(internal, target.free, strict=True)]


def _of_item(draws: Tensor, free: Tensor) -> SampledPosterior:
    r_hat, effective = np.ones(3), np.full(3, np.inf)
    sampled = free.numpy()
    # Of the others by themselves: one that never moves makes all of them unknown.
    moving = draws[..., free]
    r_hat[sampled] = split_gelman_rubin(moving, 0, 1).numpy()
    effective[sampled] = effective_sample_size(moving, 0, 1).numpy()
    return SampledPosterior(draws.numpy(), r_hat, effective)
