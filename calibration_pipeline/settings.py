"""Settings from the environment: the only module that reads it.

Every variable starts with ``CALIBRATION_``. The thresholds of the programme are fields of the
policy, for example ``CALIBRATION_POLICY__MINIMUM_RESPONSES=30`` and
``CALIBRATION_POLICY__LINKING_SLOPE_RANGE=0.9,1.1``; their defaults and meanings are in
`calibration_pipeline.policy.configuration`.
"""

import dataclasses
import difflib
import os
import tempfile
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from calibration_pipeline.alert_configuration import AlertConfiguration
from calibration_pipeline.api_configuration import ApiConfiguration
from calibration_pipeline.errors import BadInputError
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.setting_values import (
    DELIMITER,
    PREFIX,
    a_folder,
    a_scheduler,
    an_archive,
    checked_source,
    known_time_zone,
    longer_than_the_window,
    names_of,
    usable_source,
    web_address,
)
from calibration_pipeline.store.sources.configuration import SourceConfiguration

_STRUCTURED = {
    "policy": "MINIMUM_RESPONSES=30",
    "source": "KIND=attempt",
    "api": "PORT=8000",
    "alert": "SINKS=log,webhook",
}
"""Settings of several fields, and how one of them is set."""


class Settings(BaseSettings):
    """What an operator can set.

    Attributes
    ----------
    database_url
        The PostgreSQL that holds the calibration; unset, the embedded one is started.
    dagster_database_url
        The PostgreSQL that holds Dagster's own tables; unset, `database_url`, or the embedded one.
    home
        Folder of everything kept on disk; relative to the current folder.
    archive
        Folder of the archived days, or the URL of a bucket and prefix; unset, a folder in `home`.
    timezone
        IANA name of the time zone in which a day begins and the schedule runs.
    first_day
        First local day with a partition; nights before it can't be calibrated.
    run_hour
        Local hour of the nightly run, 0 to 23.
    pseudonym_key
        Secret of the keyed hash that replaces candidates' ids; unset, one is made and kept in
        `home`.
    heartbeat_url
        Where an outside watchdog is told how each run of nights ended; unset, nowhere.
    source
        Where answers come from, and how they are read.
    policy
        The programme's thresholds.
    api
        Where the HTTP service listens, and what it allows.
    alert
        Who is told when a run failed or a night is overdue, and how.
    minimum_free_disk_mb
        Megabytes that an extraction leaves free on the archive's disk.
    retention_days
        Days for which answers and abilities are kept.
    run_history_days
        Days for which Dagster's runs are kept, with their events.
    dask_scheduler
        Address of the Dask scheduler whose workers compute; unset, this machine's threads do.
    dask_timeout_seconds
        What one pass over the answers may take on the cluster, the loading of its shards included.
    cross_checks
        Whether Dagster's daemon checks published nights by other means, where the extra `bayes` is
        installed.
    report_charts, report_items_drawn
        Whether nights' pages have pictures, and of how many flagged items at most.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        env_ignore_empty=True,
        frozen=True,
    )

    database_url: SecretStr | None = None
    dagster_database_url: SecretStr | None = None
    home: Annotated[Path, AfterValidator(a_folder)] = Field(
        default=Path(".calibration"), validate_default=True
    )
    archive: Annotated[str | None, AfterValidator(an_archive)] = None
    timezone: Annotated[str, AfterValidator(known_time_zone)] = "Europe/Zurich"
    first_day: date = date(2026, 1, 1)
    run_hour: int = Field(default=4, ge=0, le=23)
    pseudonym_key: SecretStr | None = None
    heartbeat_url: Annotated[SecretStr | None, AfterValidator(web_address)] = None
    policy: Annotated[CalibrationConfiguration, names_of(CalibrationConfiguration, "POLICY")] = (
        Field(default_factory=CalibrationConfiguration)
    )
    source: Annotated[
        SourceConfiguration, BeforeValidator(checked_source), AfterValidator(usable_source)
    ] = Field(default_factory=SourceConfiguration)
    api: Annotated[ApiConfiguration, names_of(ApiConfiguration, "API")] = Field(
        default_factory=ApiConfiguration
    )
    alert: Annotated[AlertConfiguration, names_of(AlertConfiguration, "ALERT")] = Field(
        default_factory=AlertConfiguration
    )
    minimum_free_disk_mb: int = Field(default=512, ge=0)
    # After the policy, whose window it is compared with.
    retention_days: Annotated[int, AfterValidator(longer_than_the_window)] = 400
    run_history_days: int = Field(default=400, ge=1)
    dask_scheduler: Annotated[str | None, AfterValidator(a_scheduler)] = None
    dask_timeout_seconds: int = Field(default=600, ge=1)
    cross_checks: bool = True
    report_charts: bool = True
    report_items_drawn: int = Field(default=8, ge=0, le=60)

    @property
    def archive_place(self) -> str:
        """The folder of the archived days, or the URL under which they are."""
        return self.archive or str(self.home / "archive")

    @property
    def written_folder(self) -> Path:
        """The folder of this machine that an extraction writes to, whose disk needs room."""
        is_elsewhere = "://" in self.archive_place
        return Path(tempfile.gettempdir() if is_elsewhere else self.archive_place)


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises
    ------
    BadInputError
        A variable has a value that it can't have, or begins like the settings and is none of them;
        the message names the first such variable, and never repeats a secret.
    """
    _refuse_unknown_variables()
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        steps = (step for step in first["loc"] if isinstance(step, str))
        variable = PREFIX + DELIMITER.join(steps).upper()
        raise BadInputError(f"{variable} can't be used: {_lowered(first['msg'])}.") from None
    except SettingsError as error:
        # The library's text names the field, and doesn't say what is wrong.
        name, example = next(
            (name, example) for name, example in _STRUCTURED.items() if f'"{name}"' in str(error)
        )
        raise BadInputError(
            f"{PREFIX}{name.upper()} can't be used: write it as a JSON object, or set one field "
            f"with {PREFIX}{name.upper()}{DELIMITER}{example}."
        ) from None


def _refuse_unknown_variables() -> None:
    """Refuse what would be passed over in silence, such as one underscore in place of two.

    Names below a setting of several fields are checked with its values.
    """
    for variable, value in sorted(os.environ.items()):
        name = variable.upper()
        if not value or not name.startswith(PREFIX):
            continue
        setting, _, below = name.removeprefix(PREFIX).lower().partition(DELIMITER)
        if setting in Settings.model_fields and (setting in _STRUCTURED or not below):
            continue
        near = difflib.get_close_matches(name.removeprefix(PREFIX), _variables(), n=1)
        hint = f" (nearest: {PREFIX}{near[0]})" if near else ""
        raise BadInputError(
            f"there is no setting {variable}{hint}: correct its name, or unset it; "
            "docs/settings.md has them all"
        )


def _variables() -> list[str]:
    """Name every variable behind the prefix, and every field of those that have several."""
    records = {
        "policy": CalibrationConfiguration,
        "source": SourceConfiguration,
        "api": ApiConfiguration,
        "alert": AlertConfiguration,
    }
    return [name.upper() for name in Settings.model_fields] + [
        f"{name.upper()}{DELIMITER}{field.name.upper()}"
        for name, record in records.items()
        for field in dataclasses.fields(record)
    ]


def _lowered(message: str) -> str:
    text = message.removeprefix("Value error, ").rstrip(".")
    return text if text.startswith(PREFIX) else text[:1].lower() + text[1:]
