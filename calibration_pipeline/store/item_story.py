"""What is on record of one item. Reads alone; each query goes by the item's key."""

from datetime import date

import pyarrow.compute as pc
import sqlalchemy as sa

from calibration_pipeline.records import BankEntry, DayAnswers, ItemKey, ItemVersion
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.snapshot_rows import items_of_rows
from calibration_pipeline.store.tables import (
    archive_deletions,
    archive_revisions,
    items,
    scales,
    snapshot_items,
    snapshots,
    state_items,
)

_FIT = ("infit", "outfit", "infit_se", "outfit_se", "is_contradicted")
_ANSWER_COLUMNS = ["item_id", "content_version", "score"]


def read_bank_entry(engine: sa.Engine, key: ItemKey) -> BankEntry:
    """Read an item of the bank, which has to have it, with the model of its scale."""
    i = items.c
    query = (
        sa.select(items, scales.c.model)
        .join_from(items, scales)
        .where(i.item_id == key[0])
        .order_by(i.content_version)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    row = next(row for row in rows if row.content_version == key[1])
    return BankEntry(
        key=key,
        scale=row.scale,
        model=row.model,
        discrimination=row.discrimination,
        difficulty=row.difficulty,
        guessing=row.guessing,
        author_difficulty=row.author_difficulty,
        content_family=row.content_family,
        option_count=row.option_count,
        added_at=row.recorded_at,
        content_versions=tuple(row.content_version for row in rows),
    )


def read_item_versions(engine: sa.Engine, key: ItemKey) -> tuple[ItemVersion, ...]:
    """Read an item's values in every published version, oldest version first."""
    s, p, n = snapshots.c, snapshot_items.c, state_items.c
    own_state = (
        (n.partition == s.partition)
        & (n.attempt == s.attempt)
        & (n.item_id == p.item_id)
        & (n.content_version == p.content_version)
    )
    query = (
        sa.select(
            snapshot_items, s.partition, s.published_at, s.scaling_constant,
            *(n[name] for name in _FIT),
        )
        .join_from(snapshot_items, snapshots)
        .join(state_items, own_state)
        .where(p.item_id == key[0], p.content_version == key[1])
        .order_by(p.version)
    )  # fmt: skip
    with engine.connect() as connection:
        return tuple(
            ItemVersion(
                version=row.version,
                night=row.partition,
                published_at=row.published_at,
                scaling_constant=row.scaling_constant,
                item=items_of_rows([row])[0],
                **{name: getattr(row, name) for name in _FIT},
            )
            for row in connection.execute(query)
        )


def archived_days(engine: sa.Engine) -> list[tuple[date, str]]:
    """Give (day, file) of the newest kept extraction of each day with answers, oldest day first."""
    r, d = archive_revisions.c, archive_deletions.c
    is_deleted = sa.exists().where(d.day == r.day, d.revision == r.revision)
    query = (
        sa.select(r.day, r.file_name)
        .distinct(r.day)
        .where(~is_deleted, r.response_count > 0)
        .order_by(r.day, r.revision.desc())
    )
    with engine.connect() as connection:
        return [(row.day, row.file_name) for row in connection.execute(query)]


def count_answers_of(archive: Archive, key: ItemKey, day: date, file_name: str) -> DayAnswers:
    """Count how often an item was given on an archived day, and how often it was answered right.

    Raises
    ------
    NightBlockedError
        The file is missing or damaged.
    """
    rows = archive.read(file_name, _ANSWER_COLUMNS)
    own = pc.and_(pc.equal(rows["item_id"], key[0]), pc.equal(rows["content_version"], key[1]))
    scores = rows["score"].filter(own)
    return DayAnswers(
        day=day,
        given=len(scores),
        scored=len(scores) - scores.null_count,
        right=pc.sum(pc.equal(scores, 1), min_count=0).as_py(),
    )
