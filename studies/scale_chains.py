"""Simulated programmes whose scale is tested: anchors that move, references with errors."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from calibration_pipeline.policy.digests import digest_of
from calibration_pipeline.policy.flags import raise_flags
from calibration_pipeline.policy.links import link_scales
from calibration_pipeline.policy.publication import TRUSTED, compose_snapshot
from calibration_pipeline.policy.scale_watch import baseline_night, watch_scales
from calibration_pipeline.records import (
    AnchorSet,
    BoolArray,
    CalibrationState,
    FloatArray,
    ItemBank,
    ItemKey,
    ScaleLink,
    ScaleNight,
    ScaleWatch,
    SnapshotItem,
)
from studies.night_chains import Chain

Z_95 = 1.959964


@dataclass(frozen=True)
class ScaleChain(Chain):
    """A programme whose authors see the truth with an error of .5.

    Attributes
    ----------
    anchor_shift, shift_after, shift_nights
        The true difficulty of all anchors moves by so much, beginning after a night and evenly over
        so many; at once where it is 0.
    reference_error
        Standard deviation of the references' difficulties around the truth; the set states it.
    """

    anchor_shift: float = 0.0
    shift_after: int = 45
    shift_nights: int = 0
    reference_error: float = 0.0

    @cached_property
    def bank(self) -> ItemBank:
        """The pool as the calibration knows it, authors' difficulties included."""
        return replace(
            Chain.bank.func(self),  # type: ignore[attr-defined]
            author_difficulty=self.pool.author_difficulty,
        )

    @cached_property
    def anchor_set(self) -> AnchorSet:
        """Anchors at references that are off by chance."""
        generator = np.random.default_rng([self.plan.seed, 7])
        at = np.flatnonzero(self.pool.is_anchor)
        values = self.pool.truth[at]
        values[:, 1] += generator.normal(0.0, self.reference_error, len(at))
        errors = np.tile(np.diag([0.0, self.reference_error**2, 0.0]), (len(at), 1, 1))
        keys = tuple(self.bank.keys[j] for j in at)
        return AnchorSet(1, keys, values, digest_of(values, errors), errors)

    def truth(self, night: int) -> FloatArray:
        """True parameters on a night, counted from 1, ``(items, 3)``."""
        truth = super().truth(night)
        passed = max(night - self.shift_after, 0)
        share = min(passed / max(self.shift_nights, 1), 1.0)
        truth[self.pool.is_anchor, 1] += self.anchor_shift * share
        return truth


@dataclass(frozen=True)
class WatchedNight:
    """A night as it was published: the link, the verdict on the scale, and the items."""

    number: int
    state: CalibrationState
    link: ScaleLink
    watch: ScaleWatch
    items: tuple[SnapshotItem, ...]
    truth: FloatArray

    @property
    def is_free_and_trusted(self) -> BoolArray:
        """Items that are no anchors, published from tonight's fit, with enough answers in all."""
        return np.array([i.source == "fitted" and i.track == TRUSTED for i in self.items])

    @property
    def errors(self) -> FloatArray:
        """Published less true difficulties of the free trusted items."""
        published = np.array([item.difficulty for item in self.items])
        return np.asarray((published - self.truth[:, 1])[self.is_free_and_trusted])

    @property
    def standard_errors(self) -> FloatArray:
        """As published with them."""
        published = np.array([item.difficulty_se for item in self.items])
        return np.asarray(published[self.is_free_and_trusted])

    @property
    def coverage(self) -> float:
        """Share of the 95% intervals that hold the truth."""
        return float((np.abs(self.errors) <= Z_95 * self.standard_errors).mean())


@dataclass
class WatchedChain:
    """A chain's nights, published and watched one after another as the assets do it.

    `stated` are the anchors whose errors the publication knows of; those of the chain as a rule.
    """

    chain: ScaleChain
    stated: AnchorSet | None = None
    _history: list[ScaleNight] = field(init=False, default_factory=list)
    _accepted: dict[tuple[object, int], CalibrationState] = field(init=False, default_factory=dict)

    def nights(self) -> Iterator[WatchedNight]:
        """Give every accepted night."""
        published: dict[ItemKey, SnapshotItem] = {}
        parent: CalibrationState | None = None
        for number, state in enumerate(self.chain.calibrate("ours"), start=1):
            if not state.is_accepted:
                continue
            night = self._night(number, state, parent, published)
            published = {item.key: item for item in night.items}
            parent = state
            yield night

    def _night(
        self,
        number: int,
        state: CalibrationState,
        parent: CalibrationState | None,
        published: dict[ItemKey, SnapshotItem],
    ) -> WatchedNight:
        chain, configuration = self.chain, self.chain.configuration
        anchors = self.stated or chain.anchor_set
        flags = raise_flags(state, parent, configuration, anchors=anchors)
        links = link_scales(state, flags, chain.bank, anchors, configuration)
        items = compose_snapshot(state, links, chain.bank, anchors, published, configuration)
        key = baseline_night(state, self._history, configuration.window_days)
        baseline = self._accepted[key] if key else None
        (watch,) = watch_scales(state, baseline, self._history, chain.bank, configuration)
        self._history.append(ScaleNight.of(state, state.scales[0]))
        if baseline is None or not self._accepted:
            self._accepted[state.partition, state.attempt] = state
        return WatchedNight(number, state, links[0], watch, items, chain.truth(number))
