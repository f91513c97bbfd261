"""Every command of docs/personal-data.md runs as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from calibration_pipeline.store.tables import response_log, retention_runs
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.interfaces.test_cli_privacy import after, home
from calibration_pipeline_tests.processes import PROJECT
from calibration_pipeline_tests.store.privacy import accept_night, count

__all__ = ["home"]

PAGE = PROJECT / "docs" / "personal-data.md"
BLOCKS = re.findall(r"^```\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_page_does_what_it_says(
    on_database: Calibrate, home: Path, engine: sa.Engine, migrated_url: str, run_id: str
) -> None:
    # Of the blocks, that which replaces a lost key has a test of its own.
    (retention,) = (block for block in BLOCKS if "calibrate retention" in block)
    acts = [block for block in BLOCKS if "calibrate forget" in block]
    assert len(acts) == 3
    accept_night(engine, run_id, after(3000), folded_through=after(2970))
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CALIBRATION_DATABASE_URL": migrated_url,
        "CALIBRATION_HOME": str(home),
        "CANDIDATE": "ann",
    }
    for block in (*acts, retention):  # people first: retention leaves none of these old answers
        subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block], env=environment, timeout=120, check=True
        )
    assert count(engine, response_log) == 0
    assert count(engine, retention_runs) == 1
    assert (home / "forgotten").read_text().split()[1::2] == ["forget", "erase"]
