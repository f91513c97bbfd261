"""Why no migration goes back: the tables hold history that nothing else has."""

from typing import NoReturn

from calibration_pipeline.errors import SchemaRevisionError


def refuse_downgrade(revision: str) -> NoReturn:
    """Refuse to undo a revision, since that would delete published history."""
    raise SchemaRevisionError(
        f"schema revision {revision} can't be undone without deleting published history: "
        "restore a backup made before the migration instead"
    )
