"""The reader of a test engine: pinned, whole, verified, light, and unhurt by a lost connection."""

import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import (
    BadInputError,
    DamagedVersionError,
    DatabaseUnavailableError,
    MissingPrivilegeError,
    NothingPublishedError,
    SchemaRevisionError,
)
from calibration_pipeline.interfaces.reader import ItemReader
from calibration_pipeline.store import aliases, published, states
from calibration_pipeline.store.exposure import write_exposure
from calibration_pipeline.store.privileges import READER
from calibration_pipeline_tests.processes import PATIENCE_SECONDS
from calibration_pipeline_tests.store.examples import (
    draft,
    scale_exposure,
    snapshot_items,
    state,
)
from calibration_pipeline_tests.store.publishing import published as publish
from calibration_pipeline_tests.store.roles import log_in_as

ITEMS = snapshot_items()
EDITED = replace(ITEMS[0], key=(ITEMS[0].key[0], 2), difficulty=1.5)
"""The first item's newer content version."""


@pytest.fixture
def url(engine: sa.Engine, run_id: str) -> str:
    """A database with two versions; the second, with an edited item, is current."""
    states.write_state(engine, state(), run_id)
    assert publish(engine, run_id, ITEMS).version == 1
    assert publish(engine, run_id, (*ITEMS, EDITED)).version == 2
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def reader(url: str) -> Iterator[ItemReader]:
    with ItemReader(url) as reader:
        yield reader


def end_all_other_connections(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


def test_a_version_is_pinned_with_what_it_states(reader: ItemReader) -> None:
    pinned = reader.pin()
    assert (pinned.version, reader.current_version()) == (2, 2)
    stated = draft("")
    assert pinned.scaling_constant == stated.scaling_constant
    assert pinned.partition == stated.partition
    assert pinned.published_at.tzinfo is not None
    assert tuple(pinned.by_key.values()) == tuple(
        sorted((*ITEMS, EDITED), key=lambda item: item.key)
    )


@pytest.mark.parametrize("version", ["abc", "2", True, 2.0, 0, -1, 2**40, np.bool_(True)])
def test_what_is_no_number_of_a_version_is_refused_in_one_line(
    reader: ItemReader, version: Any
) -> None:
    with pytest.raises(BadInputError, match="is not the number of a version") as refusal:
        reader.pin(version)
    assert "\n" not in str(refusal.value)


def test_a_number_out_of_an_array_is_a_number(reader: ItemReader) -> None:
    assert reader.pin(np.array([1, 2])[1]).version == 2


def test_a_password_that_is_not_encoded_is_named_in_no_part() -> None:
    with pytest.raises(BadInputError, match="percent-encoded") as refusal:
        ItemReader("postgresql://bob:s3@cret@127.0.0.1:1/x")
    assert "cret" not in str(refusal.value)


def test_an_item_is_its_newest_wording_unless_another_is_named(reader: ItemReader) -> None:
    pinned, item_id = reader.pin(), EDITED.key[0]
    assert pinned.items[item_id] == pinned.item(item_id) == EDITED
    assert pinned.item(item_id, 1) == ITEMS[0]
    assert reader.pin(1).item(item_id) == ITEMS[0]
    assert pinned.items.keys() == {item.key[0] for item in ITEMS}
    with pytest.raises(BadInputError, match="version 2 has no item 'i0' in content version 3"):
        pinned.item(item_id, 3)
    with pytest.raises(BadInputError, match="version 2 has no item 'nobody'"):
        pinned.probability("nobody", 0.0)


def test_probabilities_are_those_of_the_model_with_its_scaling_constant(
    reader: ItemReader,
) -> None:
    item = ITEMS[1]
    a, b, c, D = item.discrimination, item.difficulty, item.guessing, 1.702
    pinned, item_id = reader.pin(), item.key[0]

    def expected(theta: float) -> float:
        return c + (1 - c) / (1 + math.exp(-D * a * (theta - b)))

    found = pinned.probability(item_id, 0.5)
    assert isinstance(found, float)
    assert found == pytest.approx(expected(0.5), rel=1e-14)
    grid = np.array([[-2.0, -1.0], [0.0, 3.0]])
    expected_grid = [[expected(theta) for theta in row] for row in grid]
    np.testing.assert_allclose(pinned.probability(item_id, grid), expected_grid, rtol=1e-14)
    assert pinned.probability(item_id, -1e6) == pytest.approx(c)
    assert pinned.probability(EDITED.key[0], 0.5) < pinned.probability(EDITED.key[0], 0.5, 1)


def test_a_session_keeps_its_version_while_current_moves(
    engine: sa.Engine, run_id: str, reader: ItemReader, url: str
) -> None:
    session = reader.pin()
    publish(engine, run_id, ITEMS[:3])
    assert reader.pin().version == 3
    assert session.version == 2
    with ItemReader(url) as elsewhere:
        resumed = elsewhere.pin(session.version)
    assert (resumed.version, resumed.content_digest) == (2, session.content_digest)
    assert resumed.by_key == session.by_key


def test_a_rollback_is_followed(engine: sa.Engine, reader: ItemReader) -> None:
    aliases.promote(engine, 1, moved_by="a test", reason="version 2 is bad")
    assert reader.pin().version == 1
    assert reader.current_version() == 1


def test_a_pinned_version_cannot_be_changed(reader: ItemReader) -> None:
    pinned: Any = reader.pin()
    with pytest.raises(FrozenInstanceError):
        pinned.version = 3
    with pytest.raises(TypeError):
        pinned.items["i0"] = EDITED
    with pytest.raises(FrozenInstanceError):
        pinned.item("i0").difficulty = 0.0


def test_a_version_is_read_once_however_many_threads_ask(
    reader: ItemReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def counting(engine: sa.Engine, version: int) -> published.PublishedVersion:
        read.append(version)
        return published.read_version(engine, version)

    monkeypatch.setattr("calibration_pipeline.interfaces.reader.read_version", counting)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(reader.pin())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(pinned is found[0] for pinned in found)
    assert read == [2]


def test_only_so_many_versions_are_kept(url: str) -> None:
    with ItemReader(url, versions_kept=1) as reader:
        second = reader.pin(2)
        assert reader.pin(2) is second
        reader.pin(1)
        assert reader.pin(2) is not second


def test_before_the_first_publication_that_is_what_it_says(engine: sa.Engine) -> None:
    with ItemReader(engine.url.render_as_string(hide_password=False)) as reader:
        with pytest.raises(NothingPublishedError, match="no version has been published yet"):
            reader.pin()
        with pytest.raises(BadInputError, match="no version 17"):
            reader.pin(17)


def test_an_alias_that_does_not_exist_is_named(reader: ItemReader) -> None:
    with pytest.raises(NothingPublishedError, match="`nxt` points at no version: there is no such"):
        reader.pin(alias="nxt")


def test_a_database_without_our_tables_is_recognised(database_url: str) -> None:
    with (
        ItemReader(database_url) as reader,
        pytest.raises(SchemaRevisionError, match="is it the right database"),
    ):
        reader.pin()


def test_a_version_that_was_tampered_with_is_refused(engine: sa.Engine, url: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text("ALTER TABLE calibration.snapshot_items DISABLE TRIGGER append_only")
        )
        connection.execute(
            sa.text(
                "UPDATE calibration.snapshot_items SET difficulty = difficulty + 1e-12"
                " WHERE version = 2 AND item_id = 'i1'"
            )
        )
    with ItemReader(url) as reader:
        with pytest.raises(DamagedVersionError, match="version 2 isn't what was published"):
            reader.pin()
        assert reader.pin(1).version == 1


def test_a_connection_that_was_lost_between_sessions_is_replaced(
    engine: sa.Engine, reader: ItemReader
) -> None:
    reader.pin()
    end_all_other_connections(engine)
    assert reader.pin(1).version == 1


def test_a_connection_that_is_lost_while_reading_is_replaced_once(
    engine: sa.Engine, reader: ItemReader
) -> None:
    losses = 0

    @sa.event.listens_for(reader._engine, "before_cursor_execute")
    def _lose_the_connection(*_: object) -> None:
        nonlocal losses
        if losses:
            losses -= 1
            end_all_other_connections(engine)

    losses = 1
    assert reader.pin().version == 2
    losses = 2
    with pytest.raises(DatabaseUnavailableError, match="can't be reached"):
        reader.pin(1)
    assert reader.pin(1).version == 1


def test_the_exposure_control_of_a_version_is_pinned_beside_it(
    engine: sa.Engine, reader: ItemReader
) -> None:
    assert reader.exposure(2) is None
    control = scale_exposure([EDITED.key, ITEMS[1].key], cuts=(-0.5, 1.0))
    other = scale_exposure([ITEMS[2].key], scale="other", cuts=(), maximum_rate=0.1)
    for each in (control, other):
        write_exposure(engine, 2, each, found_by="a test")
    found = reader.exposure(2)
    assert found is not None
    assert (found.version, set(found.scales)) == (2, {"main", "other"})
    item_id = EDITED.key[0]
    for theta, level in ((-3.0, 0), (-0.5, 0), (-0.4, 1), (1.0, 1), (1.1, 2)):
        assert found.level(item_id, theta) == level
        assert found.probability(item_id, theta) == control.probability[level, 0]
    assert found.probability(ITEMS[2].key[0], 9.0) == other.probability[0, 0]
    with pytest.raises(BadInputError, match="of version 2 has no item 'i3': it is retired"):
        found.probability("i3", 0.0)
    assert reader.exposure(1) is None
    with pytest.raises(BadInputError, match="not the number of a version"):
        reader.exposure(True)


def test_the_readers_role_is_enough(engine: sa.Engine, url: str) -> None:
    write_exposure(engine, 2, scale_exposure([EDITED.key]), found_by="a test")
    engine.dispose()
    log_in_as(url, READER)
    with ItemReader(url) as reader:
        assert reader.pin().version == 2
        assert reader.exposure(2) is not None
    other = sa.create_engine(url)
    with other.connect() as connection:
        assert connection.scalar(sa.text("SELECT current_user")) == READER
    other.dispose()


def test_a_login_without_the_role_is_told_which_one_it_needs(engine: sa.Engine, url: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(f'ALTER DATABASE "{engine.url.database}" SET role = pg_monitor'))
    engine.dispose()
    with (
        ItemReader(url) as reader,
        pytest.raises(MissingPrivilegeError, match="calibration_reader"),
    ):
        reader.pin()


def test_importing_the_reader_imports_nothing_heavy() -> None:
    code = "import sys, calibration_pipeline.interfaces.reader; print(*sys.modules, sep='\\n')"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    heavy = {"numba", "scipy", "dagster", "pandas", "pyarrow", "alembic", "pydantic", "torch"}
    imported = set(result.stdout.split())
    assert "sqlalchemy" in imported
    assert heavy & imported == set()
