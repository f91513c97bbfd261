"""Dry runs: what they foretell is what the real run does, and they leave no trace."""

import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.definitions import dry_run_definitions, open_dry_run_store
from calibration_pipeline.errors import BadInputError, DatabaseUnavailableError
from calibration_pipeline.orchestration.assets import calibration_snapshot
from calibration_pipeline.orchestration.dry_run import RehearsedNight, rehearse_nights
from calibration_pipeline.records import AuditFinding
from calibration_pipeline.settings import Settings
from calibration_pipeline.store import publication_switch
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.snapshots import read_manifest
from calibration_pipeline_tests.programme import FIRST, LAST, NIGHTS, Programme


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary files of the test's own, so that it sees what is left of them."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


def rehearse(
    programme: Programme, first: date, last: date | None = None, **options: Any
) -> list[RehearsedNight]:
    store = open_dry_run_store(programme.settings)
    definitions = dry_run_definitions(programme.settings, store)
    return rehearse_nights(definitions, store, first, last or first, **options)


def traces(programme: Programme) -> dict[str, Any]:
    """Everything that a run could have changed: rows, files, and Dagster's records."""
    found: dict[str, Any] = {}
    with programme.engine.connect() as connection:
        names = connection.scalars(
            sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'calibration'")
        ).all()
        for name in names:
            content = (
                f"SELECT count(*), sum(hashtextextended(t::text, 0)) FROM calibration.{name} t"  # noqa: S608
            )
            found[name] = tuple(connection.execute(sa.text(content)).one())
    assert len(found) > 30
    for folder in (programme.settings.home, Path(tempfile.gettempdir())):
        for path in sorted(folder.rglob("*")):
            about = path.stat()
            found[str(path)] = (about.st_size, about.st_mtime_ns)
    found["runs"] = len(programme.instance.get_runs())
    return found


def agree(programme: Programme, foretold: Sequence[RehearsedNight]) -> None:
    """What was foretold is what is stored now."""
    store = programme.store()
    for night in foretold:
        assert night.state is not None
        state = programme.state(night.outcome.partition)
        assert (night.state.attempt, night.state.digest) == (state.attempt, state.digest)
        np.testing.assert_array_equal(night.state.parameters, state.parameters)
        assert night.flags == store.flags(state)
        assert night.links == store.links(state)
        assert night.version is not None
        assert night.version.publication is not None
        version = store.version_of(state)
        assert version == night.version.publication.version
        digest = read_manifest(programme.engine, version).content_digest
        assert night.version.stored.content_digest == digest
        assert night.version.items == store.items_of(version)
        assert sorted(night.findings, key=lambda f: f.rule) == list(store.audit_of(version))


def told(outcome: Any) -> tuple[Any, ...]:
    return (outcome.partition, outcome.outcome, outcome.reason, dict(outcome.counts))


def test_a_dry_run_foretells_the_night_and_leaves_no_trace(programme: Programme) -> None:
    programme.run(FIRST, NIGHTS[3])
    # A late answer to a day of the window: it is extracted in memory.
    assert programme.log_like("late", NIGHTS[3]) > 0
    before = traces(programme)
    (foretold,) = rehearse(programme, NIGHTS[4])
    assert traces(programme) == before
    outcome = programme.night(NIGHTS[4])
    assert told(foretold.outcome) == told(outcome)
    agree(programme, [foretold])
    assert foretold.state is not None
    assert (NIGHTS[3], 2) in [(day, revision) for day, revision, _ in foretold.state.window]
    assert foretold.version is not None
    assert foretold.version.publication is not None
    assert foretold.version.publication.current == 5
    assert len(foretold.movers) > 50


@pytest.mark.slow
def test_a_range_is_foretold_night_after_night(calibrated: Programme, programme: Programme) -> None:
    before = traces(programme)
    foretold = rehearse(programme, FIRST, NIGHTS[5])
    assert traces(programme) == before
    assert not programme.settings.home.exists()
    agree_with = calibrated.digests()
    assert [night.state.digest for night in foretold if night.state] == agree_with[0][:6]
    versions = [
        (v.publication.version, v.stored.draft.partition, v.stored.content_digest)
        for night in foretold
        if (v := night.version) and v.publication
    ]
    assert versions == agree_with[1][:6]
    assert [told(night.outcome) for night in foretold] == [
        told(outcome) for outcome in programme.nights(FIRST, NIGHTS[5])
    ]


def test_a_night_that_is_the_same_again_publishes_no_second_version(
    calibrated_copy: Programme,
) -> None:
    (foretold,) = rehearse(calibrated_copy, NIGHTS[4])
    outcome = calibrated_copy.night(NIGHTS[4])
    assert told(foretold.outcome) == told(outcome)
    agree(calibrated_copy, [foretold])
    assert foretold.version is not None
    assert foretold.version.publication is not None
    assert not foretold.version.publication.is_new
    assert foretold.version.publication.current == len(NIGHTS)


def test_an_old_night_that_would_come_out_differently_makes_later_ones_stale(
    calibrated_copy: Programme,
) -> None:
    calibrated_copy.log_like("late", NIGHTS[6])
    store = open_dry_run_store(calibrated_copy.settings)
    definitions = dry_run_definitions(calibrated_copy.settings, store)
    rehearse_nights(definitions, store, NIGHTS[6], NIGHTS[6], refresh=True)
    foretold = store.staleness()
    store.engine.dispose()
    assert not calibrated_copy.store().staleness().nights
    calibrated_copy.run(NIGHTS[6], refresh=True)
    assert foretold == calibrated_copy.store().staleness()
    assert [stale.night for stale in foretold.nights] == [LAST]


def test_verdicts_are_foretold(programme: Programme, monkeypatch: pytest.MonkeyPatch) -> None:
    (rejected,) = rehearse(programme.with_policy(population_sd_range=(2.0, 5.0)), FIRST)
    assert rejected.outcome.outcome == "rejected"
    assert rejected.state is not None
    assert "population sd" in rejected.state.reasons[0]
    assert rejected.version is None
    finding = AuditFinding("covariances_are_positive", passed=False, detail="said so")
    monkeypatch.setattr(calibration_snapshot, "audit_snapshot", lambda *_: (finding,))
    (failed,) = rehearse(programme, FIRST)
    assert failed.outcome.outcome == "audit_failed"
    assert failed.findings == (finding,)
    assert failed.version is not None
    assert failed.version.publication is None


def test_a_frozen_publication_would_stay(calibrated_copy: Programme) -> None:
    programme = calibrated_copy
    publication_switch.freeze(programme.engine, decided_by="ada", reason="an exam is on")
    day = LAST + timedelta(days=1)
    programme.log_like("next", LAST, session_started_at="session_started_at + interval '1 day'")
    (foretold,) = rehearse(programme, day)
    assert foretold.version is not None
    published = foretold.version.publication
    assert published is not None
    assert (published.version, published.current) == (len(NIGHTS) + 1, len(NIGHTS))
    assert "an exam is on" in published.held_back


def test_it_works_while_another_calibration_is_under_way(programme: Programme) -> None:
    with CalibrationLock(programme.engine, "run 7 (the schedule)"):
        (foretold,) = rehearse(programme, FIRST)
    assert foretold.outcome.outcome == "completed"


def test_postgresql_itself_refuses_every_change(programme: Programme) -> None:
    store = open_dry_run_store(programme.settings)
    with (
        store.engine.connect() as connection,
        pytest.raises(sa.exc.InternalError, match="read-only"),
    ):
        connection.execute(sa.text("UPDATE calibration.publication_fence SET token = 0"))
    store.engine.dispose()


def test_a_night_outside_the_partitions_is_refused(programme: Programme) -> None:
    with pytest.raises(BadInputError, match="is not a night that can be calibrated"):
        rehearse(programme, FIRST - timedelta(days=2))


def test_without_a_database_nothing_is_made(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(DatabaseUnavailableError, match="run `calibrate migrate`") as refusal:
        open_dry_run_store(Settings(home=home))
    assert "\n" not in str(refusal.value)
    assert not home.exists()
