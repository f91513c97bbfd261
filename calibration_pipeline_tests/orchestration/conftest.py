"""The simulated programme, calibrated by real runs of Dagster's."""

from calibration_pipeline_tests.programme import (
    calibrated,
    calibrated_copy,
    dagster_template,
    dagster_url,
    loaded_template,
    programme,
)

__all__ = [
    "calibrated",
    "calibrated_copy",
    "dagster_template",
    "dagster_url",
    "loaded_template",
    "programme",
]
