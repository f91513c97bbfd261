"""A column as the catalogue shows it."""

from dataclasses import dataclass
from typing import Literal

import dagster as dg

Unit = Literal[
    "", "theta", "per theta", "probability", "share", "standard errors", "mean square", "answers",
    "milliseconds", "seconds", "ratio", "log scale",
]  # fmt: skip
"""Unit of a number; empty where it has none: names, days, flags, codes, counts of no thing.

`theta` is the unit of ability: one standard deviation of the first candidates, unless anchors
say otherwise. `log scale` is that of φ = (log discrimination, difficulty, logit guessing).
"""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name, type
        As in the table or file.
    text
        What it holds, for somebody who sees it for the first time.
    unit
        Of a number.
    origins
        ``asset.column`` of what it is computed from.
    nullable
        Whether it may be empty.
    """

    name: str
    type: str
    text: str
    unit: Unit = ""
    origins: tuple[str, ...] = ()
    nullable: bool = False

    def shown(self) -> dg.TableColumn:
        """Give it as Dagster shows it; its web interface draws no lineage of columns, so say it."""
        origin = f" From {', '.join(self.origins)}." if self.origins else ""
        return dg.TableColumn(
            name=self.name,
            type=self.type,
            description=self.text + origin,
            constraints=dg.TableColumnConstraints(nullable=self.nullable),
            tags={"unit": self.unit} if self.unit else {},
        )


def schema_of(columns: tuple[Column, ...]) -> dg.TableSchema:
    """Give the columns' schema."""
    return dg.TableSchema(columns=[column.shown() for column in columns])


def lineage_of(columns: tuple[Column, ...]) -> dg.TableColumnLineage | None:
    """Give what each column is computed from; None where nothing is said of any."""
    deps = {
        column.name: [_dep(origin) for origin in column.origins]
        for column in columns
        if column.origins
    }
    return dg.TableColumnLineage(deps) if deps else None


def _dep(origin: str) -> dg.TableColumnDep:
    asset, _, name = origin.partition(".")
    return dg.TableColumnDep(asset_key=dg.AssetKey(asset), column_name=name)


def item_key(of: str) -> tuple[Column, Column]:
    """Give the two columns that name an item, which come from another asset."""
    return (
        Column("item_id", "text", "The item, as the bank names it.", origins=(f"{of}.item_id",)),
        Column("content_version", "integer", "Counts the edits of the item's content, from 1: an "
               "edited item is a new one.", origins=(f"{of}.content_version",)),
    )  # fmt: skip


EVALUATION = Column("evaluation_id", "bigint", "Which computation of the night; the newest counts.")
NIGHT = Column("partition", "date", "The night's local day.")
"""Columns that several tables have."""
