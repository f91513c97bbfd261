"""Settings from the environment: the only module that reads it.

Every variable starts with ``CALIBRATION_``. The thresholds of the programme are fields of the
policy, for example ``CALIBRATION_POLICY__MINIMUM_RESPONSES=30`` and
``CALIBRATION_POLICY__LINKING_SLOPE_RANGE=0.9,1.1``; their defaults and meanings are in
`calibration_pipeline.policy.configuration`.
"""

import dataclasses
import difflib
import os
import re
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, get_origin
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from calibration_pipeline.alert_configuration import AlertConfiguration
from calibration_pipeline.api_configuration import ApiConfiguration
from calibration_pipeline.errors import BadInputError
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.store.archive_url import LOCAL, require_plain
from calibration_pipeline.store.sources.configuration import (
    LONGEST_GAP_MINUTES,
    SourceConfiguration,
)
from calibration_pipeline.web_addresses import WHAT_IS_WANTED, can_be_called

_PREFIX = "CALIBRATION_"
_DELIMITER = "__"
_RETENTION_MARGIN_DAYS = 31
_STRUCTURED = {
    "policy": "MINIMUM_RESPONSES=30",
    "source": "KIND=attempt",
    "api": "PORT=8000",
    "alert": "SINKS=log,webhook",
}
"""Settings of several fields, and how one of them is set."""


def _known_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("not a time zone of the IANA database, such as Europe/Zurich") from None
    return name


def _web_address(url: SecretStr | None) -> SecretStr | None:
    # Its value stays out of the message: whoever knows the address can silence the watchdog.
    if url is not None and not can_be_called(url.get_secret_value()):
        raise ValueError(WHAT_IS_WANTED)
    return url


def _an_archive(place: str | None) -> str | None:
    """Make a folder absolute, as the home is; refuse a URL that holds more than an address."""
    if place is None:
        return None
    scheme, is_url, rest = place.partition("://")
    if is_url and scheme not in LOCAL:
        return require_plain(place)
    return str(_a_folder(Path(rest or place)))


def _a_scheduler(address: str | None) -> str | None:
    if address is not None and not re.fullmatch(r"(tcp|tls)://[^\s/@?#]+:\d{1,5}", address):
        raise ValueError("not an address such as tcp://scheduler:8786 or tls://scheduler:8786")
    return address


def _a_folder(path: Path) -> Path:
    """Make the path absolute; refuse one where a file stands in the way."""
    home = path.expanduser().absolute()
    for place in (home, *home.parents):
        if place.is_file():
            raise ValueError(f"{place} is a file: name a folder, which may be a new one")
    return home


def _longer_than_the_window(days: int, others: ValidationInfo) -> int:
    policy = others.data.get("policy")  # absent if it couldn't be used, which is said first
    if policy is not None and days < policy.window_days + _RETENTION_MARGIN_DAYS:
        raise ValueError(
            f"{days} days are too few: a night needs the last {policy.window_days}, and there must "
            f"be {_RETENTION_MARGIN_DAYS} more in which to mend what stops it"
        )
    return days


def _names_of(record: type, path: str) -> BeforeValidator:
    """Refuse names that a record lacks: a typing error must not leave a setting as it was."""
    return BeforeValidator(
        lambda value: _checked_fields(value, record, path) if isinstance(value, Mapping) else value
    )


def _checked_source(value: object) -> object:
    """Check the source's names, and read its lists of pairs."""
    if not isinstance(value, Mapping):
        return value
    checked = _checked_fields(value, SourceConfiguration, "SOURCE")
    # Its value may hold a password, which no message may repeat.
    if not isinstance(checked.get("database_url", ""), str | None):
        raise ValueError("CALIBRATION_SOURCE__DATABASE_URL is no text")  # noqa: TRY004
    for name in ("names", "codes"):
        if isinstance(pairs := checked.get(name), str):
            checked[name] = _pairs(pairs, f"{_PREFIX}SOURCE{_DELIMITER}{name.upper()}")
    return checked


def _pairs(text: str, variable: str) -> dict[str, str]:
    """Read ``a=b, c=d``."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise ValueError(
                f"{variable} has {part!r}: write pairs, as in attempt.student_id=learner, with "
                "commas between them"
            )
        if name in found:
            raise ValueError(f"{variable} names {name!r} twice: keep one of them")
        found[name] = value
    return found


def _usable_source(source: SourceConfiguration) -> SourceConfiguration:
    if source.naive_timezone is not None:
        try:
            _known_time_zone(source.naive_timezone)
        except ValueError as error:
            raise ValueError(f"its NAIVE_TIMEZONE is {error}") from None
    if not 1 <= source.session_gap_minutes <= LONGEST_GAP_MINUTES:
        gap = source.session_gap_minutes
        raise ValueError(f"its SESSION_GAP_MINUTES is {gap}: give 1 to {LONGEST_GAP_MINUTES}")
    if source.statement_timeout_seconds < 1:
        raise ValueError("its STATEMENT_TIMEOUT_SECONDS is less than 1: give seconds")
    if (source.kind == "files") != (source.path is not None):
        raise ValueError("a PATH goes with KIND=files: set both, or neither")
    return source


def _checked_fields(values: Mapping[str, Any], record: type, path: str) -> dict[str, Any]:
    """Check the names of the variables' fields and split the lists that stand for tuples."""
    types = {field.name: field.type for field in dataclasses.fields(record)}
    checked: dict[str, Any] = {}
    for name, value in values.items():
        variable = f"{path}{_DELIMITER}{name.upper()}"
        if name not in types:
            near = difflib.get_close_matches(name, types, n=1)
            hint = f" (nearest: {_PREFIX}{path}{_DELIMITER}{near[0].upper()})" if near else ""
            raise ValueError(f"there is no setting {_PREFIX}{variable}{hint}")
        kind = types[name]
        if isinstance(value, Mapping) and isinstance(kind, type) and dataclasses.is_dataclass(kind):
            checked[name] = _checked_fields(value, kind, variable)
        elif isinstance(value, str) and get_origin(kind) is tuple:
            checked[name] = tuple(part.strip() for part in value.strip(" []()").split(","))
        else:
            checked[name] = value
    return checked


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
        env_prefix=_PREFIX,
        env_nested_delimiter=_DELIMITER,
        env_ignore_empty=True,
        frozen=True,
    )

    database_url: SecretStr | None = None
    dagster_database_url: SecretStr | None = None
    home: Annotated[Path, AfterValidator(_a_folder)] = Field(
        default=Path(".calibration"), validate_default=True
    )
    archive: Annotated[str | None, AfterValidator(_an_archive)] = None
    timezone: Annotated[str, AfterValidator(_known_time_zone)] = "Europe/Zurich"
    first_day: date = date(2026, 1, 1)
    run_hour: int = Field(default=4, ge=0, le=23)
    pseudonym_key: SecretStr | None = None
    heartbeat_url: Annotated[SecretStr | None, AfterValidator(_web_address)] = None
    policy: Annotated[CalibrationConfiguration, _names_of(CalibrationConfiguration, "POLICY")] = (
        Field(default_factory=CalibrationConfiguration)
    )
    source: Annotated[
        SourceConfiguration, BeforeValidator(_checked_source), AfterValidator(_usable_source)
    ] = Field(default_factory=SourceConfiguration)
    api: Annotated[ApiConfiguration, _names_of(ApiConfiguration, "API")] = Field(
        default_factory=ApiConfiguration
    )
    alert: Annotated[AlertConfiguration, _names_of(AlertConfiguration, "ALERT")] = Field(
        default_factory=AlertConfiguration
    )
    minimum_free_disk_mb: int = Field(default=512, ge=0)
    # After the policy, whose window it is compared with.
    retention_days: Annotated[int, AfterValidator(_longer_than_the_window)] = 400
    run_history_days: int = Field(default=400, ge=1)
    dask_scheduler: Annotated[str | None, AfterValidator(_a_scheduler)] = None
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
        variable = _PREFIX + _DELIMITER.join(steps).upper()
        raise BadInputError(f"{variable} can't be used: {_lowered(first['msg'])}.") from None
    except SettingsError as error:
        # The library's text names the field, and doesn't say what is wrong.
        name, example = next(
            (name, example) for name, example in _STRUCTURED.items() if f'"{name}"' in str(error)
        )
        raise BadInputError(
            f"{_PREFIX}{name.upper()} can't be used: write it as a JSON object, or set one field "
            f"with {_PREFIX}{name.upper()}{_DELIMITER}{example}."
        ) from None


def _refuse_unknown_variables() -> None:
    """Refuse what would be passed over in silence, such as one underscore in place of two.

    Names below a setting of several fields are checked with its values.
    """
    for variable, value in sorted(os.environ.items()):
        name = variable.upper()
        if not value or not name.startswith(_PREFIX):
            continue
        setting, _, below = name.removeprefix(_PREFIX).lower().partition(_DELIMITER)
        if setting in Settings.model_fields and (setting in _STRUCTURED or not below):
            continue
        near = difflib.get_close_matches(name.removeprefix(_PREFIX), _variables(), n=1)
        hint = f" (nearest: {_PREFIX}{near[0]})" if near else ""
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
        f"{name.upper()}{_DELIMITER}{field.name.upper()}"
        for name, record in records.items()
        for field in dataclasses.fields(record)
    ]


def _lowered(message: str) -> str:
    text = message.removeprefix("Value error, ").rstrip(".")
    return text if text.startswith(_PREFIX) else text[:1].lower() + text[1:]
