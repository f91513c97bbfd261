"""Which database role may do what to which table: one matrix, and the message that follows from it.

The SQL that puts it into force is in `calibration_pipeline.store.roles`; docs/roles.md is for
operators.
"""

import re
from typing import Final

from calibration_pipeline.errors import MissingPrivilegeError
from calibration_pipeline.store.tables.base import SCHEMA

PIPELINE: Final = "calibration_pipeline"
ADMINISTRATOR: Final = "calibration_administrator"
READER: Final = "calibration_reader"

ROLES: Final = {
    PIPELINE: "runs nights and retention: reads pool and answers, publishes versions",
    ADMINISTRATOR: "imports, decides, promotes, freezes, accepts, forgets",
    READER: "reads published versions, for test engines",
}
"""Each role, and what it is for."""

VIEWS: Final = (
    "published_items",
    "current_items",
    "alias_items",
    "published_exposure",
    "current_exposure",
    "current_cold_start",
)
"""What a reader in SQL uses."""

# Nobody may truncate. M is for VACUUM after a deletion and ANALYZE after an import.
_LETTERS = {"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE", "M": "MAINTAIN"}

# In the order of _COLUMNS. Letters are given for statements that the program makes, and for no
# others; foreign keys ask for none. Retention is scheduled, so the pipeline deletes what is old.
_COLUMNS = (PIPELINE, ADMINISTRATOR, READER)
_MATRIX = {
    # The pool
    "scales": ("S", "SI", ""),
    "items": ("S", "SI", ""),
    "item_decisions": ("S", "SI", ""),
    # Anchors may be selected from Dagster, too; putting them in force is a decision.
    "anchor_sets": ("SI", "SI", ""),
    "anchor_set_items": ("SI", "SI", ""),
    "anchor_candidates": ("SI", "SI", ""),
    "anchor_activations": ("S", "SI", ""),
    # Answers
    "response_log": ("SD", "SIDM", ""),
    "import_batches": ("", "SI", ""),
    "archive_revisions": ("SI", "SI", ""),
    "source_observations": ("SI", "SI", ""),
    "source_checks": ("SI", "S", ""),
    # Nights
    "runs": ("SI", "S", ""),
    "run_outcomes": ("SI", "S", ""),
    "calibration_states": ("SI", "S", ""),
    "state_scales": ("SI", "S", ""),
    "state_windows": ("SI", "S", ""),
    "state_folds": ("SI", "S", ""),
    "state_items": ("SI", "S", ""),
    "state_differences": ("SI", "S", ""),
    "state_evaluations": ("SI", "S", ""),
    "flags": ("SI", "S", ""),
    "flag_decisions": ("S", "SI", ""),
    "links": ("SI", "S", ""),
    "leak_watches": ("SI", "S", ""),
    "leak_items": ("SI", "S", ""),
    "leak_detectors": ("SI", "S", ""),
    "leak_verdicts": ("SI", "S", ""),
    "night_acceptances": ("S", "SI", ""),
    # Priors of new items are fitted by a schedule, or on demand.
    "item_prior_fits": ("SI", "SI", ""),
    "item_prior_scales": ("SI", "SI", ""),
    "item_prior_draws": ("SI", "SI", ""),
    "item_prior_items": ("SI", "SI", ""),
    # Publication
    "snapshot_drafts": ("SID", "SD", ""),
    "snapshot_draft_items": ("SI", "S", ""),
    "snapshot_draft_audits": ("SI", "S", ""),
    "snapshots": ("SI", "S", "S"),
    "snapshot_items": ("SI", "S", "S"),
    "snapshot_audits": ("SI", "S", "S"),
    "aliases": ("SIU", "SIU", "S"),
    "alias_moves": ("SI", "SI", "S"),
    "publication_switches": ("S", "SI", ""),
    "publication_fence": ("SU", "SU", ""),
    "exposure_controls": ("SI", "SI", "S"),
    "exposure_control_items": ("SI", "SI", "S"),
    "cold_start_items": ("SI", "S", ""),
    # Reported by engines whose login was given that right: docs/roles.md.
    "item_proposals": ("S", "", ""),
    # The HTTP service, which works as the administrator.
    "api_tokens": ("", "SIU", ""),
    # People
    "candidate_map": ("SID", "SDM", ""),
    "candidate_abilities": ("SID", "SDM", ""),
    "suppressions": ("S", "SIU", ""),
    "privacy_acts": ("", "SI", ""),
    "pseudonym_keys": ("SI", "SI", ""),
    "archive_deletions": ("SI", "SI", ""),
    "retention_runs": ("SI", "SI", ""),
    # Everybody sees which revision the schema is at.
    "alembic_version": ("S", "S", "S"),
} | dict.fromkeys(VIEWS, ("S", "S", "S"))

PRIVILEGES: Final = {
    role: {
        table: frozenset(_LETTERS[letter] for letter in letters[column])
        for table, letters in _MATRIX.items()
    }
    for column, role in enumerate(_COLUMNS)
}
"""Role → table or view → privileges, an empty set where it has none."""

_CHANGED = re.compile(r'\s*(INSERT INTO|UPDATE|DELETE FROM|COPY)\s+(?:"?calibration"?\.)?"?(\w+)')
_OWNERS_WORK = re.compile(r"\s*(CREATE|ALTER|DROP|GRANT|REVOKE|COMMENT)\b")
_VERBS = {"INSERT INTO": "INSERT", "COPY": "INSERT", "DELETE FROM": "DELETE", "UPDATE": "UPDATE"}


def roles_that_may(privilege: str, table: str) -> list[str]:
    """Name the roles that have a privilege on a table."""
    return [role for role in ROLES if privilege in PRIVILEGES[role].get(table, ())]


def missing_privilege(complaint: str, statement: str, database: str) -> MissingPrivilegeError:
    """Say in one line which role a login lacks.

    Parameters
    ----------
    complaint
        What PostgreSQL said, in whatever language.
    statement
        What it refused.
    database
        The database's URL without its password.
    """
    reason = complaint.strip().splitlines()[0]
    words = re.findall(r"\w+", reason)
    tables = [word for word in words if word in _MATRIX]
    if _OWNERS_WORK.match(statement) or not tables:
        remedy = "use the login that owns the tables"
        if not _OWNERS_WORK.match(statement) and SCHEMA in words:
            remedy = f"give it one of the roles {', '.join(ROLES)} (docs/roles.md)"
    elif roles := roles_that_may(_privilege_needed(statement, tables[-1]), tables[-1]):
        remedy = f"use a login with the role {' or '.join(roles)} (docs/roles.md)"
    else:
        remedy = f"no role may change {tables[-1]} like that (docs/roles.md)"
    return MissingPrivilegeError(f"this login of {database} may not do that ({reason}): {remedy}")


def _privilege_needed(statement: str, table: str) -> str:
    """The privilege on a table that a refused statement asked for."""
    changed = _CHANGED.match(statement)
    if changed is not None and changed[2] == table:
        return _VERBS[changed[1]]
    if re.match(r"\s*(TRUNCATE|LOCK)\b", statement):
        return "TRUNCATE"
    return "UPDATE" if " FOR UPDATE" in statement else "SELECT"
