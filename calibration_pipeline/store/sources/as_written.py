"""What can be told of text that was not understood, in the SQL of DuckDB.

Whoever mends a source wants to see the code or the time that stands there. But it may be what a
person wrote, or who it was, as where a name was mapped to the wrong column: so a code is told where
it is one short word, a time where it has digits and little else, and neither where the row's
candidate or session is in it.
"""

import duckdb

_CODE = r"[\pL\pN_.+/-]{1,12}"
_TIME = r"[0-9A-Za-z:+./, -]{0,12}[0-9]{2}[0-9A-Za-z:+./, -]{0,26}"
_MACROS = rf"""
CREATE MACRO is_in(id, t) AS length(id) >= 3 AND contains(lower(t), lower(id));
CREATE MACRO told(t, is_plain, candidate, session) AS CASE
    WHEN t IS NULL THEN NULL
    WHEN is_plain AND NOT is_in(candidate, t) AND NOT is_in(coalesce(session, ''), t) THEN t
    ELSE 'text of ' || length(t) || ' characters'
END;
CREATE MACRO code_as_written(t, candidate, session) AS
    told(t, regexp_full_match(t, '{_CODE}'), candidate, session);
CREATE MACRO time_as_written(t, candidate, session) AS
    told(t, regexp_full_match(t, '{_TIME}'), candidate, session);
"""


def define_as_written(connection: duckdb.DuckDBPyConnection) -> None:
    """Define ``code_as_written(text, candidate, session)``, and the same of a time.

    Null where there is no text.
    """
    connection.execute(_MACROS)
