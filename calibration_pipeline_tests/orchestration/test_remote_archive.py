"""Nights whose archive is in a bucket: the digests of a folder's, whatever the server does."""

from collections.abc import Iterator

import pytest

from calibration_pipeline.errors import ArchiveUnavailableError, ArchiveWriteError
from calibration_pipeline.store.archive_opening import open_archive
from calibration_pipeline_tests.programme import FIRST, LAST, NIGHTS, Programme
from calibration_pipeline_tests.store.object_stores import Wire, s3_archive, s3_server, s3_wire

__all__ = ["s3_archive", "s3_server", "s3_wire"]


@pytest.fixture
def remote(programme: Programme, s3_archive: str) -> Iterator[Programme]:
    changed = programme.settings.model_copy(update={"archive": s3_archive})
    own = Programme(changed, programme.instance)
    yield own
    own.engine.dispose()


def recorded(programme: Programme) -> set[str]:
    names = "SELECT array_agg(file_name) FROM calibration.archive_revisions"
    return set(programme.scalar(names) or ())


def published(programme: Programme) -> int:
    return int(programme.scalar("SELECT count(*) FROM calibration.snapshots"))


def test_a_night_on_s3_is_the_night_on_a_folder(remote: Programme, calibrated: Programme) -> None:
    assert remote.night(FIRST).outcome == "completed"
    assert remote.state(FIRST).digest == calibrated.state(FIRST).digest
    assert not (remote.settings.home / "archive").exists()
    archive = open_archive(remote.settings.archive_place)
    assert recorded(remote) == set(archive.location.names())


@pytest.mark.slow
def test_a_server_that_is_away_publishes_nothing_and_the_next_night_is_fine(
    remote: Programme, calibrated: Programme, s3_wire: Wire
) -> None:
    s3_wire.is_refusing = True
    with pytest.raises(ArchiveWriteError, match="can't be written"):
        remote.run(FIRST)
    assert (published(remote), recorded(remote)) == (0, set())
    s3_wire.mend()
    assert remote.night(FIRST).outcome == "completed"
    assert remote.state(FIRST).digest == calibrated.state(FIRST).digest


@pytest.mark.slow
def test_all_nights_on_s3_are_those_on_a_folder(remote: Programme, calibrated: Programme) -> None:
    remote.run(FIRST, LAST)
    assert remote.digests() == calibrated.digests()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["refusing", "cut"])
def test_nights_with_faults_between_them_end_in_the_same_digests(
    remote: Programme, calibrated: Programme, s3_wire: Wire, fault: str
) -> None:
    for number, night in enumerate(NIGHTS):
        if number in (2, 5):
            before = published(remote)
            if fault == "refusing":
                s3_wire.is_refusing = True
            else:
                s3_wire.cut_after = 4000  # enough to ask, too little for a day's upload
            with pytest.raises((ArchiveUnavailableError, ArchiveWriteError)):
                remote.run(night)
            assert published(remote) == before
            s3_wire.mend()
        assert remote.night(night).outcome == "completed"
    assert remote.digests() == calibrated.digests()
