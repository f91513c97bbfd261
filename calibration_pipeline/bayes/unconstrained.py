"""A Pyro model's log density over an unconstrained space, for many points at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyro
import torch
from torch.distributions import Transform, biject_to

Model = Callable[..., None]
"""Takes its data and the number of points; every site is ``(n_points, …)``."""


@dataclass(frozen=True)
class Site:
    """A latent site: its name, the shape of one unconstrained value, and the way back."""

    name: str
    shape: torch.Size
    transform: Transform

    @property
    def size(self) -> int:
        """Numbers of one value."""
        return self.shape.numel()


@dataclass(frozen=True)
class UnconstrainedDensity:
    """Log density of a model's latent sites in one flat unconstrained vector."""

    model: Model
    data: Any
    sites: tuple[Site, ...]

    @classmethod
    def of(cls, model: Model, data: Any) -> "UnconstrainedDensity":
        """Find the sites of a model; nothing is drawn from anybody's random numbers."""
        with torch.random.fork_rng(devices=[]):
            trace = pyro.poutine.trace(model).get_trace(data, 1)
        sites = []
        for name, node in trace.nodes.items():
            if node["type"] == "sample" and not node["is_observed"] and "fn" in node:
                distribution: Any = node["fn"]
                if type(distribution).__name__ == "_Subsample":  # that is the plate
                    continue
                transform = biject_to(distribution.support)
                sites.append(Site(name, transform.inv(node["value"]).shape[1:], transform))
        return cls(model, data, tuple(sites))

    @property
    def dimensions(self) -> int:
        """Length of the flat vector."""
        return sum(site.size for site in self.sites)

    def constrained(self, points: torch.Tensor) -> dict[str, torch.Tensor]:
        """Values of every site, ``(n_points, …)``, at points of ``(n_points, dimensions)``."""
        return {name: value for name, (value, _) in self._values(points).items()}

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Log density with the volume of the transforms, ``(n_points,)``."""
        values = self._values(points)
        conditioned = pyro.poutine.condition(
            self.model, {name: value for name, (value, _) in values.items()}
        )
        trace = pyro.poutine.trace(conditioned).get_trace(self.data, len(points))
        trace.compute_log_prob()
        total = sum(
            (
                node["log_prob"]
                for node in trace.nodes.values()
                if node["type"] == "sample" and "log_prob" in node and node["is_observed"]
            ),
            start=torch.zeros(len(points), dtype=points.dtype),
        )
        for _, volume in values.values():
            total = total + volume
        return total

    def _values(self, points: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Each site's value and the log volume of its transform, ``(n_points,)``."""
        found = {}
        parts = points.split([site.size for site in self.sites], dim=-1)
        for site, part in zip(self.sites, parts, strict=True):
            free = part.reshape(len(points), *site.shape)
            value = site.transform(free)
            volume = site.transform.log_abs_det_jacobian(free, value)
            found[site.name] = value, volume.reshape(len(points), -1).sum(-1)
        return found
