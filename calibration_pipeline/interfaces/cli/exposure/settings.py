"""The test and the method: what the settings say, with the command's options in their place."""

from dataclasses import fields, replace
from typing import Any

import click

from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.settings import load_settings

_FIELDS = {field.name for field in fields(ExposureConfiguration)}


def configured_exposure(options: dict[str, Any]) -> tuple[ExposureConfiguration, float]:
    """Give the configuration, and the maximum rate.

    A programme whose nights control nothing tries the recommended method.
    """
    policy = load_settings().policy
    given = {"cuts": tuple(sorted(set(options["cuts"]))), "is_weighted": options["weighted"]}
    given |= {name: options[name] for name in _FIELDS - given.keys()}
    changes = {name: value for name, value in given.items() if value not in (None, ())}
    if policy.exposure.method == "off":
        changes = {"method": "eligibility"} | changes
    try:
        configuration = replace(policy.exposure, **changes)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    rate = policy.maximum_exposure_rate if options["max_rate"] is None else options["max_rate"]
    if not rate:
        raise click.UsageError("the setting of the maximum rate is 0: give --max-rate")
    return configuration, rate
