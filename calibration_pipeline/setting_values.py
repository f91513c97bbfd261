"""What the values of settings have to be: checks that refuse in one line and repeat no secret."""

import dataclasses
import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, SecretStr, ValidationInfo

from calibration_pipeline.store.archive_url import LOCAL, require_plain
from calibration_pipeline.store.sources.configuration import (
    LONGEST_GAP_MINUTES,
    SourceConfiguration,
)
from calibration_pipeline.web_addresses import WHAT_IS_WANTED, can_be_called

PREFIX = "CALIBRATION_"
DELIMITER = "__"
_RETENTION_MARGIN_DAYS = 31


def known_time_zone(name: str) -> str:
    """Refuse what is no name of the IANA database."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("not a time zone of the IANA database, such as Europe/Zurich") from None
    return name


def web_address(url: SecretStr | None) -> SecretStr | None:
    """Refuse what no watchdog can be called at."""
    # Its value stays out of the message: whoever knows the address can silence the watchdog.
    if url is not None and not can_be_called(url.get_secret_value()):
        raise ValueError(WHAT_IS_WANTED)
    return url


def an_archive(place: str | None) -> str | None:
    """Make a folder absolute, as the home is; refuse a URL that holds more than an address."""
    if place is None:
        return None
    scheme, is_url, rest = place.partition("://")
    if is_url and scheme not in LOCAL:
        return require_plain(place)
    return str(a_folder(Path(rest or place)))


def a_scheduler(address: str | None) -> str | None:
    """Refuse what is no address of Dask's, or holds more than an address."""
    if address is not None and not re.fullmatch(r"(tcp|tls)://[^\s/@?#]+:\d{1,5}", address):
        raise ValueError("not an address such as tcp://scheduler:8786 or tls://scheduler:8786")
    return address


def a_folder(path: Path) -> Path:
    """Make the path absolute; refuse one where a file stands in the way."""
    home = path.expanduser().absolute()
    for place in (home, *home.parents):
        if place.is_file():
            raise ValueError(f"{place} is a file: name a folder, which may be a new one")
    return home


def longer_than_the_window(days: int, others: ValidationInfo) -> int:
    """Refuse a retention period in which a night that was stopped could not be mended."""
    policy = others.data.get("policy")  # absent if it couldn't be used, which is said first
    if policy is not None and days < policy.window_days + _RETENTION_MARGIN_DAYS:
        raise ValueError(
            f"{days} days are too few: a night needs the last {policy.window_days}, and there must "
            f"be {_RETENTION_MARGIN_DAYS} more in which to mend what stops it"
        )
    return days


def names_of(record: type, path: str) -> BeforeValidator:
    """Refuse names that a record lacks: a typing error must not leave a setting as it was."""
    return BeforeValidator(
        lambda value: _checked_fields(value, record, path) if isinstance(value, Mapping) else value
    )


def checked_source(value: object) -> object:
    """Check the source's names, and read its lists of pairs."""
    if not isinstance(value, Mapping):
        return value
    checked = _checked_fields(value, SourceConfiguration, "SOURCE")
    # Its value may hold a password, which no message may repeat.
    if not isinstance(checked.get("database_url", ""), str | None):
        raise ValueError("CALIBRATION_SOURCE__DATABASE_URL is no text")  # noqa: TRY004
    for name in ("names", "codes"):
        if isinstance(pairs := checked.get(name), str):
            checked[name] = _pairs(pairs, f"{PREFIX}SOURCE{DELIMITER}{name.upper()}")
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


def usable_source(source: SourceConfiguration) -> SourceConfiguration:
    """Refuse fields of the source that are out of range, or contradict each other."""
    if source.naive_timezone is not None:
        try:
            known_time_zone(source.naive_timezone)
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
        variable = f"{path}{DELIMITER}{name.upper()}"
        if name not in types:
            near = difflib.get_close_matches(name, types, n=1)
            hint = f" (nearest: {PREFIX}{path}{DELIMITER}{near[0].upper()})" if near else ""
            raise ValueError(f"there is no setting {PREFIX}{variable}{hint}")
        kind = types[name]
        if isinstance(value, Mapping) and isinstance(kind, type) and dataclasses.is_dataclass(kind):
            checked[name] = _checked_fields(value, kind, variable)
        elif isinstance(value, str) and get_origin(kind) is tuple:
            checked[name] = tuple(part.strip() for part in value.strip(" []()").split(","))
        else:
            checked[name] = value
    return checked
