"""The charts of a night's page, put together: what is drawn from which records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from calibration_pipeline.records import ItemKey, NightHistory, ScaleNight
from calibration_pipeline.reports.charts import Chart, Pencil
from calibration_pipeline.reports.flag_standing import FlagStanding
from calibration_pipeline.reports.item_stories import (
    ItemEvidence,
    ItemStory,
    item_stories,
    items_to_draw,
)
from calibration_pipeline.reports.pool_charts import (
    ability_error_chart,
    information_chart,
    pool_size_chart,
)
from calibration_pipeline.reports.runtime_chart import runtime_chart
from calibration_pipeline.reports.scale_charts import (
    anchor_chart,
    displaced_anchors,
    displacement_chart,
    population_chart,
)

if TYPE_CHECKING:
    from calibration_pipeline.reports.nightly_page import NightlyPage

SCALES_DRAWN = 4
"""With more scales the page would become a catalogue; their figures stand in the tables."""


@dataclass(frozen=True)
class LookBack:
    """What a page's charts are drawn from, beside the night's own records.

    Attributes
    ----------
    evidence
        Of the flagged items that are drawn.
    history
        The nights up to tonight.
    scale_nights
        What earlier accepted nights left behind of their scales, oldest first.
    seconds, earlier_seconds
        What each step took: tonight, as far as it has come, and on earlier nights.
    items_drawn
        At most so many flagged items.
    draws
        Whether there are pictures at all; without them the figures stand in tables.
    """

    evidence: ItemEvidence = field(default_factory=lambda: ItemEvidence({}, {}, None))
    history: NightHistory = field(default_factory=NightHistory)
    scale_nights: Sequence[ScaleNight] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    earlier_seconds: Sequence[Mapping[str, float]] = ()
    items_drawn: int = 8
    draws: bool = True


@dataclass(frozen=True)
class PageCharts:
    """The charts by where they stand, and how many flagged items there are to be drawn."""

    stories: tuple[ItemStory, ...]
    items_to_tell: int
    pool: tuple[Chart, ...]
    anchors: tuple[Chart, ...]
    population: tuple[Chart, ...]
    runtime: tuple[Chart, ...]


def page_charts(page: "NightlyPage", standing: FlagStanding) -> PageCharts:
    """Draw a page's charts. What a night lacks is left out."""
    look_back, state = page.look_back, page.state
    pencil = Pencil(look_back.draws)
    keys, items_to_tell = items_to_draw(standing, look_back.items_drawn)
    return PageCharts(
        stories=item_stories(
            keys, standing, state, page.parent, look_back.evidence, page.scaling_constant, pencil
        ),
        items_to_tell=items_to_tell,
        pool=_pool(page, pencil),
        anchors=_anchors(page, pencil) if state.is_accepted else (),
        population=_population(page, pencil) if state.is_accepted else (),
        runtime=_present(runtime_chart(look_back.seconds, look_back.earlier_seconds, pencil)),
    )


def _pool(page: "NightlyPage", pencil: Pencil) -> tuple[Chart, ...]:
    charts: list[Chart | None] = []
    if page.items:
        retired = _retired(page)
        charts += [
            information_chart(
                number, scale, page.items, page.previous, retired, page.scaling_constant, pencil
            )
            for number, scale in enumerate(page.state.scales[:SCALES_DRAWN])
        ]
    if figures := page.look_back.history.figures:
        charts += [pool_size_chart(figures, pencil), ability_error_chart(figures, pencil)]
    return _present(*charts)


def _anchors(page: "NightlyPage", pencil: Pencil) -> tuple[Chart, ...]:
    anchors = displaced_anchors(page.state, page.links)
    return _present(
        anchor_chart(anchors, pencil) if anchors else None,
        displacement_chart(page.look_back.history.displacements, pencil),
    )


def _population(page: "NightlyPage", pencil: Pencil) -> tuple[Chart, ...]:
    fitted = [scale for scale in page.state.scales if scale.fitted]
    return _present(
        *(
            population_chart(
                number,
                [
                    *(n for n in page.look_back.scale_nights if n.scale == scale.name),
                    ScaleNight.of(page.state, scale),
                ],
                pencil,
            )
            for number, scale in enumerate(fitted[:SCALES_DRAWN])
        )
    )


def _retired(page: "NightlyPage") -> frozenset[ItemKey]:
    return frozenset(page.bank.keys[j] for j in np.flatnonzero(page.bank.is_retired))


def _present(*charts: Chart | None) -> tuple[Chart, ...]:
    return tuple(chart for chart in charts if chart is not None)
