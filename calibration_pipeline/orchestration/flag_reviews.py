"""Flags as they stood with the reviewers on a night: read, and put together."""

from datetime import date, timedelta

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_reviews import review_flags
from calibration_pipeline.records import CalibrationState, FlagReview
from calibration_pipeline.store.calibration_store import CalibrationStore


def reviews_of_night(
    store: CalibrationStore, night: date, configuration: CalibrationConfiguration
) -> tuple[FlagReview, ...]:
    """Say how flags stand once a night's are written.

    Neither later nights nor later decisions are looked at: a night that is run again tells what it
    told then.
    """
    only_credible = configuration.flags.review_only_credible
    return review_flags(
        store.flag_history(night, only_credible=only_credible),
        store.flag_decisions(night),
        store.retirements(night),
        configuration,
    )


def reference_state(
    store: CalibrationStore, night: date, configuration: CalibrationConfiguration
) -> CalibrationState | None:
    """Read the newest accepted state whose window shares no day with a night's; None before one."""
    return store.newest_accepted_state(night - timedelta(days=configuration.window_days - 1))
