"""Passes on real workers, in processes of their own: the same bytes as in this process."""

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration_pipeline.errors import ArchiveWriteError, EngineError, EngineUnavailableError
from calibration_pipeline.irt import responses
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.differential import differential_functioning
from calibration_pipeline.irt.em import fit
from calibration_pipeline.irt.expectation import estimate_abilities, expect, marginal_derivatives
from calibration_pipeline.irt.population import Population, PopulationCells
from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.store.shard_files import ShardFiles

pytest.importorskip("distributed")

from calibration_pipeline.execution.choosing import open_engine
from calibration_pipeline.execution.dask_engine import DaskEngine
from calibration_pipeline.execution.nodes import cut
from calibration_pipeline.interfaces.cli.cluster_check import judge_workers
from calibration_pipeline_tests.execution.cluster import Cluster, cluster, free_port, worker_of

SETTINGS = EMConfiguration()
N_ITEMS, N_SESSIONS, LENGTH = 30, 1500, 20
TIMEOUT = 60.0


@pytest.fixture(scope="module")
def running() -> Iterator[Cluster]:
    """Two workers, as two machines."""
    with cluster(2) as found:
        yield found


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards are cut by the process that has the answers: workers take them as they come."""
    monkeypatch.setattr(responses, "MINIMUM_SHARD_RESPONSES", 200)
    monkeypatch.setattr(responses, "SHARD_RESPONSES_PER_ITEM", 1)


@pytest.fixture(autouse=True)
def _many_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many nodes as three workers would have: of two, no order of adding would show."""

    monkeypatch.setattr(
        "calibration_pipeline.execution.dask_engine.cut", lambda n_blocks, _: cut(n_blocks, 3)
    )


@pytest.fixture
def answers() -> ResponseData:
    """Weighted answers of two groups, in some 150 shards."""
    generator = np.random.default_rng(12)
    n = N_SESSIONS * LENGTH
    return ResponseData(
        session_offsets=np.arange(0, n + 1, LENGTH),
        item=generator.integers(0, N_ITEMS, n).astype(np.int32),
        correct=generator.integers(0, 2, n).astype(np.uint8),
        n_items=N_ITEMS,
        weights=generator.uniform(0.5, 1.0, n),
        cells=PopulationCells(
            generator.integers(0, 2, N_SESSIONS).astype(np.int32), np.arange(2), np.zeros(2)
        ),
    )


@pytest.fixture
def engine(running: Cluster, tmp_path: Path) -> Iterator[DaskEngine]:
    with DaskEngine(running.address, ShardFiles(str(tmp_path)), TIMEOUT) as opened:
        yield opened


def items() -> np.ndarray:
    generator = np.random.default_rng(1)
    return np.column_stack(
        [
            generator.lognormal(0.0, 0.3, N_ITEMS),
            generator.normal(size=N_ITEMS),
            generator.uniform(0.1, 0.3, N_ITEMS),
        ]
    )


POPULATION = Population([0.0, 0.3], [1.0, 1.1])


def everything_of(data: ResponseData) -> list[bytes]:
    """Bytes of all that passes give."""
    given = (data, items(), POPULATION, SETTINGS)
    counts, derivatives = expect(*given), marginal_derivatives(*given)
    (contrast,) = differential_functioning(
        data, items(), POPULATION, data.population_cells.cell, SETTINGS
    ).contrasts
    arrays = [
        counts.counts, counts.mass, np.float64(counts.log_likelihood), derivatives.score,
        derivatives.information, derivatives.infit, *estimate_abilities(*given),
        contrast.difficulty.shift,
    ]  # fmt: skip
    return [np.asarray(array).tobytes() for array in arrays]


def fitted(data: ResponseData) -> bytes:
    """Bytes of a fit with priors."""
    prior = ItemPriors(np.tile(4.0 * np.eye(3), (N_ITEMS, 1, 1)), np.zeros((N_ITEMS, 3)))
    problem = ItemProblem(items(), np.ones((N_ITEMS, 3), np.bool_), prior)
    settings = replace(SETTINGS, tolerance=0.02)
    population = Population([0.0, 0.0], [1.0, 1.0], True, True)
    return fit(data, problem, population, settings).parameters.tobytes()


def test_workers_give_the_bytes_of_this_process(answers, engine):
    assert answers.shards.n_blocks > 12
    assert everything_of(replace(answers, engine=engine)) == everything_of(answers)


def test_what_is_taken_out_of_the_answers_is_computed_in_the_same_place(answers, engine):
    remote = replace(answers, engine=engine)
    for of in (
        lambda data: data.every(3),
        lambda data: data.of_sessions(np.arange(700)),
        lambda data: replace(data, weights=None, cells=None).of_sessions(np.arange(3)),
    ):
        assert of(remote).engine is engine
        one = of(answers).population_cells
        population = POPULATION if len(one.group) > 1 else Population()
        here, there = (
            expect(of(data), items(), population, SETTINGS).counts.tobytes()
            for data in (answers, remote)
        )
        assert here == there


def test_answers_without_a_session_need_no_worker(engine):
    nothing = ResponseData(
        np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.uint8), 2, engine=engine
    )
    assert expect(nothing, items()[:2], Population(), SETTINGS).log_likelihood == 0.0


def test_killed_workers_cost_their_shards_and_not_the_fit(answers, running, engine, monkeypatch):
    expected = fitted(answers)
    run, place, passes = DaskEngine.total, DaskEngine._place, []

    def total(self, data, work):
        passes.append(work)
        if len(passes) == 3:
            _replace_a_worker(running)
        return run(self, data, work)

    def killing(self, data):
        placed = place(self, data)
        if len(passes) == 6:
            # The pass about to be asked for waits behind these, and is lost with the worker.
            _sent = [engine._client.submit(_busy, s, pure=False) for s in placed.shards.values()]
            _replace_a_worker(running)
        return placed

    monkeypatch.setattr(DaskEngine, "total", total)
    monkeypatch.setattr(DaskEngine, "_place", killing)
    assert fitted(replace(answers, engine=engine)) == expected
    assert len(passes) > 6


def _replace_a_worker(running: Cluster) -> None:
    victim = running.workers.pop(0)
    running.kill(victim)
    entered = worker_of(running.address)
    running.workers.append(running.stack.enter_context(entered))


def _busy(_shards: object) -> None:
    sum(range(3_000_000))


def test_a_scheduler_that_nobody_listens_for_is_one_clear_line(answers, tmp_path):
    address = f"tcp://127.0.0.1:{free_port()}"
    with DaskEngine(address, ShardFiles(str(tmp_path)), 1.0) as engine:
        data = replace(answers, engine=engine)
        with pytest.raises(EngineUnavailableError, match=r"unset CALIBRATION_DASK_SCHEDULER") as e:
            expect(data, items(), POPULATION, SETTINGS)
    assert "\n" not in str(e.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_no_worker_and_a_scheduler_that_goes_away_end_in_one_line_each(answers, tmp_path):
    files = ShardFiles(str(tmp_path))
    with cluster(0) as own:
        with DaskEngine(own.address, files, 5.0) as engine:
            data = replace(answers, engine=engine)
            with pytest.raises(
                EngineUnavailableError, match="gave no answer in 5 s: it has no worker"
            ):
                expect(data, items(), POPULATION, SETTINGS)
        own.stack.enter_context(worker_of(own.address))
        with DaskEngine(own.address, files, TIMEOUT) as engine:
            data = replace(answers, engine=engine)
            expect(data, items(), POPULATION, SETTINGS)
            own.kill(own.scheduler)
            with pytest.raises(EngineUnavailableError, match="away"):
                _pass_after_pass(data)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def _pass_after_pass(data: ResponseData) -> None:
    for _ in range(1000):  # it may take a moment until the loss is noticed
        expect(data, items(), POPULATION, SETTINGS)


def test_shards_that_are_not_those_written_are_refused(answers, engine, tmp_path, monkeypatch):
    write = ShardFiles.write

    def damaged(self, name, content):
        head, *rest = content
        write(self, name, [head, *rest[:-2], bytes(len(part) for part in rest[-2:-1])])

    monkeypatch.setattr(ShardFiles, "write", damaged)
    with pytest.raises(EngineError, match="other shards than were written"):
        expect(replace(answers, engine=engine), items(), POPULATION, SETTINGS)


def test_workers_that_cannot_reach_the_archive_say_so(answers, engine, monkeypatch):
    monkeypatch.setattr(ShardFiles, "write", lambda *_: None)
    with pytest.raises(EngineError, match="has to reach the archive under the same name"):
        expect(replace(answers, engine=engine), items(), POPULATION, SETTINGS)


def test_workers_with_other_versions_are_refused(answers, engine, monkeypatch):
    monkeypatch.setattr(
        "calibration_pipeline.execution.dask_engine.installed_versions",
        lambda: {"numpy": "1.0", "python": "3.11"},
    )
    with pytest.raises(EngineError, match=r"numpy .* instead of 1\.0"):
        expect(replace(answers, engine=engine), items(), POPULATION, SETTINGS)


def test_every_worker_says_what_it_is(engine):
    facts = engine.facts()
    assert len(facts) == 2
    assert {fact.threads for fact in facts} == {1}
    assert {fact.obstacle for fact in facts} == {""}
    check = judge_workers("tcp://there:1", facts)
    assert check.passed
    assert check.detail == "tcp://there:1: 2 workers, 2 threads, versions as here"


def test_workers_that_cannot_read_the_archive_fail_the_check(engine, monkeypatch):
    monkeypatch.setattr(ShardFiles, "write", lambda *_: None)
    check = judge_workers("tcp://there:1", engine.facts())
    assert not check.passed
    assert "can't read the archive" in check.detail


def test_shards_are_removed_with_their_answers_and_with_the_engine(answers, engine, tmp_path):
    def files() -> int:
        return sum(path.is_file() for path in tmp_path.rglob("*"))

    half = replace(answers, engine=engine).of_sessions(np.arange(700))
    expect(half, items(), POPULATION, SETTINGS)
    of_half = files()
    assert of_half > 0
    del half
    gc.collect()
    remote = replace(answers, engine=engine)
    expect(remote, items(), POPULATION, SETTINGS)
    of_all = files()
    expect(remote, items(), POPULATION, SETTINGS)
    assert files() == of_all == 16  # twelve nodes or more: the tree is cut in halves
    engine.__exit__(None, None, None)
    assert files() == 0


def test_an_archive_that_cannot_be_written_is_what_the_error_names(answers, running, tmp_path):
    (tmp_path / "shards").write_text("a file where the folder would be")
    engine = DaskEngine(running.address, ShardFiles(str(tmp_path)), TIMEOUT)
    with engine, pytest.raises(ArchiveWriteError, match="the archive"):
        expect(replace(answers, engine=engine), items(), POPULATION, SETTINGS)


def test_without_the_extra_there_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr("calibration_pipeline.execution.choosing.find_spec", lambda _: None)
    store = ShardFiles(str(tmp_path))
    with pytest.raises(EngineError, match=r"pip install 'calibration-pipeline\[dask\]'"):
        open_engine("tcp://scheduler:8786", store, TIMEOUT)
    with open_engine(None, store, TIMEOUT) as local:
        assert not isinstance(local, DaskEngine)
