"""Workers load their shards from an object store, or say that they can't."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.errors import (
    ArchiveUnavailableError,
    ArchiveWriteError,
    EngineUnavailableError,
)
from calibration_pipeline.irt import responses
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.expectation import expect
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.store import archive_objects
from calibration_pipeline.store.archive_opening import open_archive
from calibration_pipeline.store.shard_files import ShardFiles
from calibration_pipeline_tests.store.object_stores import Wire, s3_archive, s3_server, s3_wire

pytest.importorskip("distributed")

from calibration_pipeline.execution.dask_engine import DaskEngine
from calibration_pipeline_tests.execution.cluster import Cluster, cluster

pytestmark = pytest.mark.slow
__all__ = ["s3_archive", "s3_server", "s3_wire"]

ITEMS = np.tile([1.0, 0.0, 0.2], (10, 1))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> ResponseData:
    monkeypatch.setattr(responses, "MINIMUM_SHARD_RESPONSES", 100)
    monkeypatch.setattr(responses, "SHARD_RESPONSES_PER_ITEM", 1)
    generator = np.random.default_rng(5)
    n = 4000
    return ResponseData(
        np.arange(0, n + 1, 20), generator.integers(0, 10, n).astype(np.int32),
        generator.integers(0, 2, n).astype(np.uint8), 10,
    )  # fmt: skip


@pytest.fixture
def workers(s3_wire: Wire) -> Iterator[Cluster]:
    """After the wire: they find the store by the environment that they are started in."""
    with cluster(2) as running:
        yield running


def counted(data: ResponseData) -> bytes:
    return expect(data, ITEMS, Population(), EMConfiguration()).counts.tobytes()


def test_workers_load_shards_from_a_bucket(
    answers: ResponseData, s3_archive: str, workers: Cluster
) -> None:
    location = open_archive(s3_archive).location
    with DaskEngine(workers.address, ShardFiles(s3_archive), 60.0) as engine:
        assert counted(replace(answers, engine=engine)) == counted(answers)
        assert len(location.names("shards")) == 2
    assert location.names("shards") == []


def test_a_bucket_that_goes_away_is_what_the_error_names(
    answers: ResponseData, s3_archive: str, workers: Cluster, s3_wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write = ShardFiles.write

    def then_refuse(self: ShardFiles, *what: object) -> None:
        write(self, *what)
        s3_wire.is_refusing = True

    with DaskEngine(workers.address, ShardFiles(s3_archive), 60.0) as engine:
        monkeypatch.setattr("calibration_pipeline.execution.dask_engine.cut", lambda *_: [(0, 5)])
        monkeypatch.setattr(ShardFiles, "write", then_refuse)
        with pytest.raises(EngineUnavailableError, match=r"read the shards .*can't be read"):
            counted(replace(answers, engine=engine))
        s3_wire.mend()


def test_a_bucket_that_never_answers_is_given_up(
    answers: ResponseData, s3_archive: str, workers: Cluster, s3_wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(archive_objects, "_PATIENCE_SECONDS", 2.0)
    files = ShardFiles(s3_archive)
    assert files.read  # the folder has its name, before the store falls silent
    with DaskEngine(workers.address, files, 60.0) as engine:
        s3_wire.is_silent = True
        # Which it is depends on what was asked first: a listing that is still good isn't asked for.
        with pytest.raises((ArchiveWriteError, ArchiveUnavailableError), match="can't be"):
            counted(replace(answers, engine=engine))
        s3_wire.mend()
