"""Which of a file's columns is which: by our names, the usual other ones, and the settings."""

from collections.abc import Mapping, Sequence

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.response_file import ALIASES
from calibration_pipeline.store.sources.files.folder import shown
from calibration_pipeline.store.sources.raw import OPTIONAL_COLUMNS

REQUIRED_COLUMNS = ("candidate_id", "item_id", "is_correct", "answered_at")
_OTHER_NAMES = {**ALIASES, "student_id": "candidate_id", "score": "is_correct"}
_RAW_NAMES = {"is_correct": "code"}
_PREFIX = "files."


def accepted_names(names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Give the names under which each column may stand in a file.

    Parameters
    ----------
    names
        Of the settings: ``files.candidate_id`` → ``learner``. A column named there has no other.

    Raises
    ------
    SourceError
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
            raise SourceError(
                f"CALIBRATION_SOURCE__NAMES has {shown(key)!r}, which files don't have: use "
                f"{_PREFIX} and one of {', '.join(accepted)}"
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
        looked_for = shown(", ".join(" or ".join(accepted[name]) for name in missing))
        raise SourceError(
            f"{file_name} lacks the column{'s'[: len(missing) - 1]} {looked_for}: name the "
            f"file's own in CALIBRATION_SOURCE__NAMES ({_PREFIX}{missing[0]}=…), or move the file "
            "elsewhere"
        )
    return columns
