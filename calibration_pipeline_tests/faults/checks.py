"""What must be true after the undisturbed run, whatever struck the runs before it."""

import os
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from calibration_pipeline.store.archive import ORPHAN_AGE, Archive
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.lock import current_holder
from calibration_pipeline.store.snapshots import (
    content_digest,
    list_snapshots,
    read_snapshot_items,
)
from calibration_pipeline_tests.faults.programme import PLAN, Copy

Facts = Mapping[str, Any]
"""What a programme's database and folders hold, by what it is."""

_UNFINISHED = ".writing-"
_FACTS = {
    "states": "SELECT DISTINCT partition, is_accepted, digest FROM calibration.calibration_states",
    "answers counted": """
        SELECT DISTINCT partition, attempt_total FROM (
            SELECT partition, sum(total_count) AS attempt_total FROM calibration.state_items
            GROUP BY partition, attempt) AS attempts""",
    "versions": "SELECT version, partition, content_digest FROM calibration.snapshots",
    "moves of the alias": "SELECT alias, from_version, to_version FROM calibration.alias_moves",
    "current": """
        SELECT alias, partition, content_digest FROM calibration.aliases
        JOIN calibration.snapshots USING (version)""",
    "revisions": """
        SELECT day, revision, digest, file_name, quarantine_file_name, response_count,
               session_count, quarantine_counts FROM calibration.archive_revisions""",
    "candidates": "SELECT encode(pseudonym, 'hex'), candidate_id FROM calibration.candidate_map",
    "abilities": """
        SELECT partition, scale, encode(session_pseudonym, 'hex') AS session, theta, theta_se
        FROM calibration.candidate_abilities""",
    "flags": """
        SELECT partition, f.item_id, f.reason, f.value, f.z FROM calibration.flags AS f
        JOIN (SELECT DISTINCT ON (partition) partition, evaluation_id
              FROM calibration.state_evaluations WHERE kind = 'flags'
              ORDER BY partition, evaluation_id DESC) AS newest USING (evaluation_id)""",
    "links": """
        SELECT partition, l.scale, l.slope, l.intercept FROM calibration.links AS l
        JOIN (SELECT DISTINCT ON (partition) partition, evaluation_id
              FROM calibration.state_evaluations WHERE kind = 'links'
              ORDER BY partition, evaluation_id DESC) AS newest USING (evaluation_id)""",
    "answers logged": "SELECT count(*) FROM calibration.response_log",
}
_VIOLATIONS = {
    "a run has no outcome": """
        SELECT partition, started_at FROM calibration.runs
        LEFT JOIN calibration.run_outcomes USING (run_id) WHERE run_outcomes.run_id IS NULL""",
    "a draft is left over": "SELECT draft_id, partition FROM calibration.snapshot_drafts",
    "a state lacks items": """
        SELECT partition, attempt, count(i.item_id) FROM calibration.calibration_states
        LEFT JOIN calibration.state_items AS i USING (partition, attempt)
        GROUP BY 1, 2 HAVING count(i.item_id) <> :items""",
    "a state was written twice by one run": """
        SELECT run_id, partition FROM calibration.calibration_states
        GROUP BY 1, 2 HAVING count(*) > 1""",
    "a version lacks items": """
        SELECT version, count(i.item_id) FROM calibration.snapshots
        LEFT JOIN calibration.snapshot_items AS i USING (version)
        GROUP BY 1 HAVING count(i.item_id) <> :items""",
    "a version lacks its audit": """
        SELECT version FROM calibration.snapshots
        LEFT JOIN calibration.snapshot_audits AS a USING (version)
        GROUP BY 1 HAVING count(a.rule) = 0 OR NOT bool_and(a.passed)""",
    "the alias is not where it was moved": """
        SELECT version FROM calibration.aliases WHERE version <> (
            SELECT to_version FROM calibration.alias_moves ORDER BY move_id DESC LIMIT 1)""",
    "abilities rest on another night's version": """
        SELECT DISTINCT a.partition, version FROM calibration.candidate_abilities AS a
        JOIN calibration.snapshots AS s USING (version) WHERE a.partition <> s.partition""",
}


def facts_of(copy: Copy) -> Facts:
    """Gather what a fault may not change."""
    engine = open_engine(copy.url)
    with engine.connect() as connection:
        found: dict[str, Any] = {
            name: sorted(map(repr, connection.execute(sa.text(query))))
            for name, query in _FACTS.items()
        }
    engine.dispose()
    for folder in ("archive", "reports"):
        root = copy.settings.home / folder
        names = (str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        found[f"files in {folder}"] = sorted(name for name in names if _UNFINISHED not in name)
    return found


def differences(expected: Facts, found: Facts) -> list[str]:
    """Say what is lost, and what is there that should not be."""
    said = []
    for name, values in expected.items():
        if lost := sorted(set(values) - set(found[name])):
            said.append(f"{name}: lost {len(lost)}, such as {lost[0]}")
        if gained := sorted(set(found[name]) - set(values)):
            said.append(f"{name}: {len(gained)} too many, such as {gained[0]}")
        if not lost and not gained and len(values) != len(found[name]):
            said.append(f"{name}: {len(values)} have become {len(found[name])}")
    return said


def violations_of(copy: Copy) -> list[str]:
    """Say what contradicts itself."""
    engine = open_engine(copy.url)
    said = []
    with engine.connect() as connection:
        for rule, query in _VIOLATIONS.items():
            bound = {"items": PLAN.items} if ":items" in query else {}
            if rows := connection.execute(sa.text(query), bound).all():
                said.append(f"{rule}: {', '.join(map(str, rows))}")
    for manifest in list_snapshots(engine):
        items = read_snapshot_items(engine, manifest.version)
        if content_digest(items, manifest.scaling_constant) != manifest.content_digest:
            said.append(f"version {manifest.version} is not what its manifest says")
    if holder := current_holder(engine):
        said.append(f"the lock is held by {holder.name}")
    engine.dispose()
    return said + _unseen_leftovers(copy)


def _unseen_leftovers(copy: Copy) -> list[str]:
    """Say which unfinished files of killed extractions nothing would ever delete.

    They hold answers. No row names them and nobody reads them, and once they are old enough that
    no extraction can be under way in them, retention deletes whatever `Archive.orphans` lists.
    """
    left = [path for path in copy.archive.rglob(f"{_UNFINISHED}*") if path.is_file()]
    long_ago = time.time() - 2 * ORPHAN_AGE.total_seconds()
    for path in left:
        os.utime(path, (long_ago, long_ago))
    seen = {copy.archive / name for name in Archive(copy.archive).orphans(())}
    return [f"{path.name} would never be deleted" for path in left if path not in seen]
