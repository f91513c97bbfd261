"""The image: what it copies exists, what it installs is pinned, and nobody in it is root."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from calibration_pipeline.settings import Settings
from calibration_pipeline_tests.deploy.files import DEPLOY, ROOT

LINES = re.sub(r"\\\n\s*", " ", (DEPLOY / "Dockerfile").read_text()).splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()


def instructions(name: str) -> list[str]:
    """What stands behind an instruction, wherever it stands."""
    return [line.removeprefix(name).strip() for line in LINES if line.startswith(f"{name} ")]


def copied() -> list[str]:
    """What is copied from the project's folder."""
    found = []
    for line in instructions("COPY"):
        words = shlex.split(line)
        if not any(word.startswith("--from=") for word in words):
            found += [word for word in words[:-1] if not word.startswith("--")]
    return found


def test_what_is_copied_exists_and_isnt_ignored() -> None:
    allowed = [line.removeprefix("!") for line in IGNORED if line.startswith("!")]
    assert copied()
    for name in copied():
        assert (ROOT / name).exists(), name
        assert any(fnmatch(name, one) or name.startswith(f"{one}/") for one in allowed), name
    assert IGNORED[1] == "*"  # all that isn't allowed, secrets and history among it
    assert "calibration_pipeline_tests" not in allowed


def test_the_base_image_is_pinned_and_the_same_throughout() -> None:
    bases = {line.split()[0] for line in instructions("FROM")}
    assert len(bases) == 1
    (base,) = bases
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base)


def test_nobody_in_it_is_root() -> None:
    *_, user = instructions("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    after = LINES.index(f"USER {user}")
    assert not [line for line in LINES[after:] if line.startswith(("RUN ", "COPY "))]
    assert [line for line in instructions("RUN") if f"--uid {user.partition(':')[0]} " in line]


def test_there_is_no_entry_point() -> None:
    """The charts of Dagster and Dask give whole command lines as arguments."""
    assert not instructions("ENTRYPOINT")


def default_extras() -> list[str]:
    (line,) = [line for line in instructions("ARG") if line.startswith("EXTRAS=")]
    return line.removeprefix("EXTRAS=").split(",")


def test_the_extras_exist_and_leave_pytorch_out() -> None:
    extras = PROJECT["optional-dependencies"]
    assert set(default_extras()) <= set(extras)
    assert not {"bayes", "dev", "studies"} & set(default_extras())
    (install,) = [line for line in instructions("RUN") if "pip install" in line]
    assert "--constraint constraints.txt" in install


def test_its_variables_are_settings() -> None:
    names = re.findall(r"CALIBRATION_([A-Z_]+)=", "\n".join(LINES))
    assert names
    assert all(name.lower() in Settings.model_fields for name in names)


@pytest.mark.parametrize("name", ["scheduler", "worker"])
def test_dasks_old_names_call_its_new_ones(name: str, tmp_path: Path) -> None:
    called = tmp_path / "dask"
    called.write_text('#!/bin/sh\necho "$@"\n')
    called.chmod(0o755)
    script = DEPLOY / "bin" / f"dask-{name}"
    said = subprocess.run(
        [script, "--port", "1 2"], env={"PATH": f"{tmp_path}:/bin"}, capture_output=True, text=True
    )
    assert said.stdout == f"{name} --port 1 2\n"


@pytest.mark.slow
def test_the_install_step_gives_a_program_that_runs(tmp_path: Path) -> None:
    """From nothing but what the image copies, into an empty environment."""
    source, venv = tmp_path / "src", tmp_path / "venv"
    source.mkdir()
    for name in copied():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    (install,) = [line for line in instructions("RUN") if "pip install" in line]
    step = install.replace("/opt/venv", str(venv)).replace(
        "python -m venv", f"{sys.executable} -m venv"
    )
    step = step.replace("${EXTRAS}", ",".join(default_extras()))
    subprocess.run(["/bin/sh", "-ec", step], cwd=source, check=True)
    home = {"CALIBRATION_HOME": str(tmp_path / "home"), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    away = tmp_path / "away"
    away.mkdir()
    for command in (
        ["calibrate", "--version"],
        ["calibrate", "night", "--help"],
        ["dagster", "--version"],
        ["python", "-c", "import dagster_k8s, gcsfs, s3fs, calibration_pipeline.definitions"],
    ):
        program = venv / "bin" / command[0]
        subprocess.run(
            [program, *command[1:]], env={"PATH": "/usr/bin:/bin"} | home, cwd=away, check=True
        )
    found = subprocess.run(
        [venv / "bin" / "python", "-m", "pip", "list"], capture_output=True, text=True
    )
    assert "torch" not in found.stdout
