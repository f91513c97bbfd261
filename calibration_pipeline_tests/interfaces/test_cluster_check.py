"""What `calibrate doctor` says of a Dask cluster."""

from dataclasses import replace

import pytest

from calibration_pipeline.execution.versions import installed_versions, processor
from calibration_pipeline.interfaces.cli.cluster_check import check_cluster, judge_workers
from calibration_pipeline.settings import Settings

pytest.importorskip("distributed")

from calibration_pipeline.execution.worker import WorkerFacts
from calibration_pipeline_tests.execution.cluster import free_port

ALIKE = WorkerFacts(installed_versions(), processor(), 2, "")


def test_other_versions_fail_and_are_named():
    other = replace(ALIKE, versions=ALIKE.versions | {"numpy": "1.26.0"})
    check = judge_workers("tcp://there:1", [ALIKE, other])
    assert not check.passed
    assert "numpy 1.26.0 instead of" in check.detail


def test_another_processor_is_said_and_fails_nothing():
    check = judge_workers("tcp://there:1", [ALIKE, replace(ALIKE, processor="z80")])
    assert check.passed
    assert "processors differ (z80, here" in check.detail


def test_a_scheduler_that_is_not_there_fails_the_check(tmp_path):
    address = f"tcp://127.0.0.1:{free_port()}"
    settings = Settings(home=tmp_path, dask_scheduler=address, dask_timeout_seconds=1)
    check = check_cluster(settings, address)
    assert not check.passed
    assert address in check.detail


@pytest.mark.parametrize("address", ["scheduler:8786", "tcp://me:secret@there:1", "http://there:1"])
def test_what_is_no_schedulers_address_is_refused(monkeypatch, address):
    from calibration_pipeline.errors import BadInputError
    from calibration_pipeline.settings import load_settings

    monkeypatch.setenv("CALIBRATION_DASK_SCHEDULER", address)
    with pytest.raises(BadInputError, match=r"CALIBRATION_DASK_SCHEDULER can't be used") as caught:
        load_settings()
    assert "secret" not in str(caught.value)
