"""Answers in JSON documents: one row for each, and nothing that a document holds is an error.

A document without answers (null) gives no rows. One that isn't an array of answers, or that can't
be read as JSON, gives one row with the problem ``malformed_answer``; so does an answer that isn't
an object. What an answer's fields hold is given as its text, whatever it is.
"""

from collections.abc import Sequence

from psycopg import postgres, sql

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.sources.sql.foreign import ForeignDatabase
from calibration_pipeline.store.sources.sql.foreign_tables import FoundTable

JSONB = postgres.types["jsonb"].oid
_TESTED_FROM = 16
# PostgreSQL gives up on text nested some ten thousand deep, and no condition can catch that.
_MOST_BRACKETS = 10_000

_VALID = """
CASE WHEN length({text}) - length(translate({text}, '[{{', '')) <= {most}
     THEN CASE WHEN pg_input_is_valid({text}, 'jsonb') THEN {text}::jsonb END END
"""

# `[null]` is a document of one answer that isn't an object.
_FROM = """
{table} AS t
CROSS JOIN LATERAL (SELECT {document} AS document) AS d
CROSS JOIN LATERAL jsonb_array_elements(
    CASE WHEN t.{column} IS NULL OR jsonb_typeof(d.document) = 'null' THEN '[]'
         WHEN jsonb_typeof(d.document) = 'array' THEN d.document
         {inside}
         ELSE '[null]' END
) WITH ORDINALITY AS a (answer, place)
"""
_INSIDE = "WHEN jsonb_typeof(d.document -> {key}) = 'array' THEN d.document -> {key}"

PLACE = sql.SQL("a.place::text")
"""Which answer of its document it is, from 1."""
PROBLEM = sql.SQL(
    "CASE WHEN jsonb_typeof(a.answer) = 'object' THEN NULL ELSE 'malformed_answer' END"
)
"""What is wrong with it that only its shape shows."""


def from_documents(
    database: ForeignDatabase, found: FoundTable, documented: str, keys: Sequence[str] = ()
) -> sql.Composed:
    """Give what stands behind FROM for a table of documents; its alias is ``t``.

    Parameters
    ----------
    database
        PostgreSQL 16 or newer, unless the column is ``jsonb``.
    found
        The table.
    documented
        The documents' column: of type ``jsonb``, ``json`` or text.
    keys
        Where the answers are in a document that is an object: the first that holds an array.

    Raises
    ------
    SourceError
        This server can't test whether text is JSON.
    """
    document = found.column(documented)
    if found.type_oid(documented) != JSONB:
        if database.server_version < _TESTED_FROM:
            raise SourceError(
                f"{found.documented}.{documented} is not of type jsonb, and PostgreSQL "
                f"{database.server_version} can't test JSON before it reads it: make it jsonb in a "
                f"view, or read it from PostgreSQL {_TESTED_FROM} or newer"
            )
        document = sql.SQL(_VALID).format(
            text=found.text(documented), most=sql.Literal(_MOST_BRACKETS)
        )
    return sql.SQL(_FROM).format(
        table=found.identifier,
        document=document,
        column=sql.Identifier(found.columns[documented].name),
        inside=sql.SQL("\n").join(sql.SQL(_INSIDE).format(key=sql.Literal(key)) for key in keys),
    )


def field(*keys: str, otherwise: sql.Composable | None = None) -> sql.Composed:
    """Give the text of an answer's field.

    Parameters
    ----------
    keys
        What it is called; the first that isn't null counts.
    otherwise
        Text for an answer that doesn't have it.
    """
    found: list[sql.Composable] = [
        sql.SQL("(a.answer ->> {})").format(sql.Literal(key)) for key in keys
    ]
    return sql.SQL("coalesce({})").format(
        sql.SQL(", ").join([*found, otherwise] if otherwise is not None else found)
    )
