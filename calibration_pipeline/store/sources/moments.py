"""What a time's text means, in the SQL of DuckDB."""

import duckdb

# A time's text means a moment if it states its offset from UTC, or if the settings state the zone
# in which the source writes times without one. A row whose only time states no offset has to be
# looked for somewhere: where it would be if that were UTC.
_MACROS = r"""
CREATE MACRO states_offset(t) AS
    regexp_matches(t, '\d\d:\d\d.*(Z|z|[+-]\d\d(:?\d\d)?)$');
CREATE MACRO finite(m) AS CASE WHEN isfinite(m) THEN m END;
CREATE MACRO usual(m) AS CASE WHEN year(finite(m)) BETWEEN 1 AND 9999 THEN m END;
CREATE MACRO moment(t) AS usual(CASE
    WHEN states_offset(t) THEN try_cast(t AS TIMESTAMPTZ)
    WHEN naive_zone() IS NOT NULL THEN timezone(naive_zone(), try_cast(t AS TIMESTAMP))
END);
CREATE MACRO as_if_utc(t) AS finite(timezone('UTC', try_cast(t AS TIMESTAMP)));
"""


def define_moments(connection: duckdb.DuckDBPyConnection, naive_timezone: str | None) -> None:
    """Define ``moment(text)`` and ``as_if_utc(text)``, null where the text is no time.

    Parameters
    ----------
    naive_timezone
        Name of the zone in which times without an offset are stated; None if nobody said.
    """
    literal = "NULL" if naive_timezone is None else "'" + naive_timezone.replace("'", "''") + "'"
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE MACRO naive_zone() AS {literal}")
    connection.execute(_MACROS)
