"""Pages of simulated nights: the chain's own functions, without store or orchestration."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from calibration_pipeline.policy.audit import WrittenSnapshot, audit_snapshot
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flags import raise_flags
from calibration_pipeline.policy.item_curves import observed_proportions
from calibration_pipeline.policy.links import link_scales
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline.policy.publication import compose_snapshot
from calibration_pipeline.records import (
    AnchorDisplacement,
    CalibrationState,
    DayResponses,
    Flag,
    ItemEstimate,
    NightFigures,
    NightHistory,
    ScaleNight,
)
from calibration_pipeline.reports.item_stories import ItemEvidence
from calibration_pipeline.reports.nightly_page import NightlyPage
from calibration_pipeline.reports.page_charts import LookBack
from calibration_pipeline_tests.simulated import (
    SimulatedPool,
    Traffic,
    draw_items,
    first_fits,
    make_anchors,
    make_bank,
    night_inputs,
    simulate_days,
)

HOSTILE = "\"><script>alert('x')</script>&"
CONFIGURATION = CalibrationConfiguration(trust_threshold=100)


def hostile_pool(n_items: int = 30, n_anchors: int = 8) -> SimulatedPool:
    """A pool whose first item and whose first anchor have ids that try to leave the page."""
    truth = draw_items(n_items, np.random.default_rng(5))
    bank = make_bank(n_items)
    keys = ((HOSTILE, 1), (HOSTILE, 2), *bank.keys[2:])
    bank = replace(bank, keys=keys)
    return SimulatedPool(truth, bank, make_anchors(bank, range(1, n_anchors + 1), truth))


def archive(pool: SimulatedPool, n_days: int) -> list[DayResponses]:
    """Days on which every item gets answers."""
    traffic = Traffic(sessions=150, answers=12, pool_share=0.5)
    return simulate_days(pool, n_days, np.random.default_rng(6), traffic)


def page_of_night(
    pool: SimulatedPool,
    days: Sequence[DayResponses],
    earlier: NightlyPage | None = None,
    configuration: CalibrationConfiguration = CONFIGURATION,
) -> NightlyPage:
    """Run the night of the last of the days after an earlier one, and publish it."""
    parent = earlier.state if earlier else None
    previous = {item.key: item for item in earlier.items or ()} if earlier else {}
    state = calibrate_night(
        night_inputs(
            days[-1].revision.day,
            days,
            pool.bank,
            pool.anchors,
            configuration,
            parent=parent,
            baselines=first_fits(parent) if parent else {},
        ),
        configuration,
    )
    flags = raise_flags(state, parent, configuration, anchors=pool.anchors)
    links = link_scales(state, flags, pool.bank, pool.anchors, configuration)
    items = compose_snapshot(state, links, pool.bank, pool.anchors, previous, configuration)
    written = WrittenSnapshot(
        items, links, 1.0, "digest", "digest", pool.bank, pool.anchors, previous, None
    )
    return NightlyPage(
        day=days[-1].revision,
        state=state,
        parent=parent,
        flags=flags,
        links=links,
        items=items,
        previous=previous,
        version=(earlier.version or 0) + 1 if earlier else 1,
        findings=audit_snapshot(written, configuration),
        bank=pool.bank,
        window_days=configuration.window_days,
        # Pictures take longer than the page: the tests that look at them ask for them.
        look_back=LookBack(draws=False),
    )


def rejected(page: NightlyPage, *reasons: str) -> NightlyPage:
    """The same night, its fit rejected: nothing that comes after the fit exists."""
    state: CalibrationState = replace(page.state, is_accepted=False, reasons=reasons)
    return replace(page, state=state, flags=(), links=(), items=None, version=None, findings=())


def full_page(
    pool: SimulatedPool,
    days: Sequence[DayResponses],
    page: NightlyPage,
    n_flags: int = 2,
    nights: int = 12,
) -> NightlyPage:
    """The same night with flagged items, the first of them with a hostile id, and nights before it.

    The answers are the simulated ones; what earlier nights left behind is made up.
    """
    state = page.state
    keys = page.bank.keys[:n_flags]
    flags = [
        Flag(key, "difficulty_drift", 0.5, 0.2, 0.15, 9.0 - j / n_flags, True, f"moved {key[0]}")
        for j, key in enumerate(keys)
    ]
    before = [state.partition - timedelta(days=age) for age in range(nights, -1, -1)]
    estimates = {
        key: tuple(
            ItemEstimate(night, 0.1 * j, 1.0 / (n + 1), 50 * (n + 1), bool(state.is_anchor[j]))
            for n, night in enumerate(before)
        )
        for j, key in enumerate(keys)
    }
    history = NightHistory(
        figures=tuple(
            NightFigures(night, n + 1, 10 + n, 20 - n, 0, 150, 0.4 - n / 100)
            for n, night in enumerate(before)
        ),
        displacements=tuple(AnchorDisplacement(night, 8, 0.01, 0.2) for night in before),
        estimates=estimates,
    )
    look_back = LookBack(
        evidence=ItemEvidence(
            observed_proportions(state, days, pool.bank, keys, CONFIGURATION), estimates, None
        ),
        history=history,
        scale_nights=[
            ScaleNight(night, 1, 1, state.scales[0].name, 0.1, 1.0) for night in before[:-1]
        ],
        seconds={"item_fits": 12.5, "nightly_report": 0.4},
        earlier_seconds=[{"item_fits": 11.0}],
    )
    return replace(page, flags=flags, look_back=look_back, previous_version=1)
