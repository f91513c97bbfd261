"""What a night's page is made of: read from the store, and put together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.orchestration.flag_reviews import reference_state, reviews_of_night
from calibration_pipeline.orchestration.scale_watching import watch_of_night
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.item_curves import observed_proportions
from calibration_pipeline.policy.leak_protection import protection
from calibration_pipeline.policy.leak_watch import left_out_in
from calibration_pipeline.records import (
    CalibrationState,
    Flag,
    FlagReview,
    ItemKey,
    ObservedProportions,
)
from calibration_pipeline.reports.flag_standing import flag_standing
from calibration_pipeline.reports.item_stories import ItemEvidence, items_to_draw
from calibration_pipeline.reports.nightly_page import NightlyPage
from calibration_pipeline.reports.page_charts import LookBack
from calibration_pipeline.store.calibration_store import CalibrationStore


@dataclass(frozen=True)
class ReportOptions:
    """Whether pages have pictures, and of how many flagged items at most."""

    draws: bool = True
    items_drawn: int = 8


@dataclass(frozen=True)
class NightSeconds:
    """What steps took in this run: on the night of a page, and on the nights before it."""

    own: Mapping[str, float] = field(default_factory=dict)
    earlier: Sequence[Mapping[str, float]] = ()

    @classmethod
    def of_night(cls, timings: Mapping[date, Mapping[str, float]], night: date) -> "NightSeconds":
        """Take them from the log of a run, which may hold many nights."""
        earlier = tuple(timings[day] for day in sorted(timings) if day < night)
        return cls(timings.get(night, {}), earlier)


def read_page(
    store: CalibrationStore,
    state: CalibrationState,
    configuration: CalibrationConfiguration,
    options: ReportOptions,
    seconds: NightSeconds,
) -> NightlyPage:
    """Gather a night's page; the audit is its version's, or that of the draft that failed it."""
    night, version = state.partition, store.version_of(state)
    revisions = {day: revision for day, revision, _ in state.window}
    leaks = store.leak_verdicts(state)
    flags = store.flags(state)
    reviews = reviews_of_night(store, night, configuration) if state.is_accepted else ()
    before = store.manifest_before(night)
    return NightlyPage(
        day=store.day(night, revisions.get(night)).revision,
        state=state,
        parent=store.state(*state.parent) if state.parent else None,
        flags=flags,
        links=store.links(state),
        items=None if version is None else store.items_of(version),
        previous=store.published_before(night),
        version=version,
        findings=store.failed_audit(state) if version is None else store.audit_of(version),
        bank=store.bank(night),
        window_days=configuration.window_days,
        late_answers={late.day: late.answers for late in store.late_answers(night)},
        reviews=reviews,
        watched=watch_of_night(store, state, configuration) if state.is_accepted else (),
        leak_delays=protection(leaks) if leaks else {},
        previous_version=before.version if before else None,
        scaling_constant=configuration.em.scaling_constant,
        look_back=_look_back(store, state, configuration, options, seconds, flags, reviews),
    )


def _look_back(
    store: CalibrationStore,
    state: CalibrationState,
    configuration: CalibrationConfiguration,
    options: ReportOptions,
    seconds: NightSeconds,
    flags: Sequence[Flag],
    reviews: Sequence[FlagReview],
) -> LookBack:
    standing = flag_standing(flags, reviews, state.partition)
    drawn, _ = items_to_draw(standing, options.items_drawn)
    history = store.night_history(state.partition, drawn)
    observed, trouble = _observed(store, state, drawn, configuration)
    return LookBack(
        evidence=ItemEvidence(
            observed=observed,
            estimates=history.estimates,
            reference=reference_state(store, state.partition, configuration),
            trouble=trouble,
        ),
        history=history,
        scale_nights=[
            kept for kept in store.scale_history(state.partition) if kept.partition >= history.since
        ],
        # A step that is run by itself, later on, tells what the whole night took.
        seconds=seconds.own or history.own_seconds,
        earlier_seconds=(*history.seconds, *seconds.earlier),
        items_drawn=options.items_drawn,
        draws=options.draws,
    )


def _observed(
    store: CalibrationStore,
    state: CalibrationState,
    keys: Collection[ItemKey],
    configuration: CalibrationConfiguration,
) -> tuple[Mapping[ItemKey, ObservedProportions], str]:
    """Count the window's answers to some items, in the revisions that the fit read.

    Of an old night they may be past their retention period, which costs its page no more than the
    dots on its curves: the reason is given, too, and empty where there is none.
    """
    if not keys:
        return {}, ""
    bank = store.bank(state.partition)
    try:
        days = [store.day(day, store.kept_revision(day, number)) for day, number, _ in state.window]
    except CalibrationError as error:
        return {}, str(error)
    left_out_from = left_out_in(store.leak_watch(state), bank)
    return observed_proportions(
        state, days, bank, tuple(keys), configuration, left_out_from=left_out_from
    ), ""
