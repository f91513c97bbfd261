"""Which of a file's columns is which: by our names, the usual other ones, and the settings."""

from collections.abc import Mapping, Sequence
from itertools import islice

from calibration_pipeline.errors import SourceError, SourceSettingError
from calibration_pipeline.store.response_file import ALIASES
from calibration_pipeline.store.sources.files.folder import shown
from calibration_pipeline.store.sources.raw import OPTIONAL_COLUMNS
from calibration_pipeline.store.sources.spelling import nearest_name, readable

REQUIRED_COLUMNS = ("candidate_id", "item_id", "is_correct", "answered_at")
_OTHER_NAMES = {**ALIASES, "student_id": "candidate_id", "score": "is_correct"}
_RAW_NAMES = {"is_correct": "code"}
_PREFIX = "files."
_MOST_NAMES_SHOWN = 20


def accepted_names(names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Give the names under which each column may stand in a file.

    Parameters
    ----------
    names
        Of the settings: ``files.candidate_id`` → ``learner``. A column named there has no other.

    Raises
    ------
    SourceSettingError
        One of them isn't a column's.
    """
    accepted = {
        name: (name, *(other for other, meant in _OTHER_NAMES.items() if meant == name))
        for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
    }
    for key, own in names.items():
        column = key.removeprefix(_PREFIX)
        column = _OTHER_NAMES.get(column, column)
        if not key.startswith(_PREFIX) or column not in accepted:
            near = nearest_name(key, [f"{_PREFIX}{name}" for name in accepted])
            hint = f" (nearest: {near})" if near else ""
            raise SourceSettingError(
                f"CALIBRATION_SOURCE__NAMES names {shown(key)!r}, which files don't have{hint}: "
                f"use {_PREFIX} and one of {', '.join(accepted)}"
            )
        accepted[column] = (own,)
    return accepted


def find_columns(
    file_name: str, found: Sequence[str], accepted: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Find a file's columns; those that nobody asked for are passed over.

    Parameters
    ----------
    file_name
        For messages.
    found
        Names of the file's columns.
    accepted
        By `accepted_names`.

    Returns
    -------
    dict
        Column of `raw.RAW_SCHEMA` → the file's own name of it.

    Raises
    ------
    SourceError
        A column is missing, or two are the same.
    """
    columns: dict[str, str] = {}
    for name, spellings in accepted.items():
        own = [column for column in found if column in spellings]
        if len(own) > 1:
            raise SourceError(
                f"{file_name} has more than one column for {name} ({shown(', '.join(own))}): "
                f"remove one, or name the right one as {_PREFIX}{name} in CALIBRATION_SOURCE__NAMES"
            )
        if own:
            columns[_RAW_NAMES.get(name, name)] = own[0]
    missing = [n for n in REQUIRED_COLUMNS if _RAW_NAMES.get(n, n) not in columns]
    if missing:
        unused = [column for column in found if column not in columns.values()]
        raise SourceError(_what_is_missing(file_name, found, unused, missing, accepted))
    return columns


def _what_is_missing(
    file_name: str,
    found: Sequence[str],
    unused: Sequence[str],
    missing: Sequence[str],
    accepted: Mapping[str, Sequence[str]],
) -> str:
    """Say which columns a file lacks, with the nearest of those that nothing else is read from."""
    if len(found) == 1 and (separator := _separator_of(found[0])):
        return (
            f"{file_name} is separated by {separator}: write a .csv with commas, a .tsv with tabs, "
            "or a Parquet file"
        )
    looked_for = ", ".join(
        shown(" or ".join(accepted[name])) + _nearest_of(accepted[name], unused) for name in missing
    )
    others = shown(", ".join(map(readable, unused[:_MOST_NAMES_SHOWN])))
    has = f"; its others are {others}" if unused else ""
    return (
        f"{file_name} lacks the column{'s'[: len(missing) - 1]} {looked_for}{has}: name its own "
        f"in CALIBRATION_SOURCE__NAMES ({_PREFIX}{missing[0]}=…), or move the file elsewhere"
    )


def _nearest_of(spellings: Sequence[str], unused: Sequence[str]) -> str:
    found = filter(None, (nearest_name(spelling, unused) for spelling in spellings))
    return "".join(f" (nearest: {shown(name)})" for name in islice(found, 1))


def _separator_of(header: str) -> str:
    """What a header line that was taken for one name is separated by; empty if nothing shows it."""
    names = {";": ";", "\t": "tabs", "|": "|", ",": "commas"}
    frequent = max(names, key=header.count)
    return names[frequent] if header.count(frequent) >= len(REQUIRED_COLUMNS) - 1 else ""
