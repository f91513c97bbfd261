"""A day of answers in a PostgreSQL of the benchmark's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.schema import migrate

DAY = date(2026, 3, 10)
TIMEZONE = ZoneInfo("Europe/Zurich")
ITEMS = 10_000
ANSWERS_A_SESSION = 30

_BANK = """
INSERT INTO calibration.items (item_id, content_version, scale)
SELECT 'item-' || lpad(i::text, 5, '0'), 1, 'main' FROM generate_series(1, :items) AS i
"""
# Sessions begin all day long and an answer takes 50 seconds, so that thousands of sessions lie
# mixed in the table, as a test engine writes them.
_LOG = """
INSERT INTO calibration.response_log (
    session_id, candidate_id, item_id, content_version, score, answered_at, session_started_at,
    position, time_on_task_ms, option_selected, theta_at_presentation, population_group,
    engine_version, ingested_at)
SELECT session_id, candidate_id, 'item-' || lpad((1 + (s * 31 + p * 337) % :items)::text, 5, '0'),
       1, (random() < 0.6)::int, start + p * interval '50 s' + random() * interval '1 s', start, p,
       5000 + random() * 60000, chr(65 + (random() * 3)::int), random() * 4 - 2,
       CASE WHEN s % 3 = 0 THEN 'returning' ELSE 'new' END, '7.4.2',
       start + p * interval '50 s' + interval '2 s'
FROM (
    SELECT s, md5(s::text)::uuid::text AS session_id,
           'candidate-' || lpad((s * 7 % (:sessions * 9 / 10))::text, 8, '0') AS candidate_id,
           :first + (s + random()) / :sessions * interval '24 h' AS start
    FROM generate_series(0, :sessions - 1) AS s OFFSET 0
) AS sessions, generate_series(1, :answers) AS p
ORDER BY start + p * interval '50 s'
"""


@contextmanager
def answer_log(home: Path, answers: int) -> Iterator[EmbeddedServer]:
    """Start a server whose database ``calibration`` holds a day of so many answers."""
    server = EmbeddedServer(home)
    engine = open_engine(server.start())
    try:
        migrate(engine)
        with engine.begin() as connection:
            connection.execute(sa.text("SET LOCAL work_mem = '512MB'"))
            add_scale = "INSERT INTO calibration.scales (scale, model) VALUES ('main', '3PL')"
            connection.execute(sa.text(add_scale))
            connection.execute(sa.text(_BANK), {"items": ITEMS})
            first = sa.func.timezone(TIMEZONE.key, sa.cast(DAY, sa.TIMESTAMP))
            start = connection.scalar(sa.select(first))
            sessions = answers // ANSWERS_A_SESSION
            numbers = {"items": ITEMS, "sessions": sessions, "answers": ANSWERS_A_SESSION}
            connection.execute(sa.text(_LOG), {"first": start, **numbers})
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM (ANALYZE) calibration.response_log"))
            connection.execute(sa.text("VACUUM (ANALYZE) calibration.items"))
        engine.dispose()  # a database that is in use can't be copied
        yield server
    finally:
        server.remove()
