"""What is installed, what is pinned, and what a command imports."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from calibration_pipeline.interfaces.cli import COMMANDS
from calibration_pipeline_tests.processes import PATIENCE_SECONDS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
DIRECT = [Requirement(text) for texts in DECLARED for text in texts]
HEAVY = (
    "dagster", "matplotlib", "numba", "numpy", "pandas", "pyarrow", "pydantic", "pyro", "rich",
    "scipy", "sqlalchemy", "torch",
)  # fmt: skip
# PyTorch brings these itself on some platforms, and holds their versions itself.
BROUGHT_BY_TORCH = ("cuda", "nvidia", "triton")


def _constraints() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {}
    for line in lines:
        if not line.startswith("#"):
            name, _, version = line.partition("==")
            pins[canonicalize_name(name)] = Version(version)
    return pins


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_the_constraints_meet_the_declared_range(requirement: Requirement) -> None:
    pin = _constraints()[canonicalize_name(requirement.name)]
    assert pin in requirement.specifier
    assert pin.local is None, "a local version exists on one package index alone"


def test_everything_that_is_installed_with_the_project_is_pinned() -> None:
    pins = _constraints()
    to_visit = [requirement for requirement in DIRECT if _applies(requirement)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while to_visit:
        requirement = to_visit.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen or name.startswith(BROUGHT_BY_TORCH):
            continue
        seen.add((name, frozenset(requirement.extras)))
        assert name in pins
        try:
            behind = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            continue  # an extra that was not asked for
        to_visit += [other for other in behind if _applies(other, requirement.extras)]


def _applies(requirement: Requirement, extras: set[str] | None = None) -> bool:
    marker = requirement.marker
    return marker is None or any(
        marker.evaluate({"extra": extra}) for extra in ("", *(extras or ()))
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []], ids=str)
def test_the_list_of_commands_imports_nothing_heavy(arguments: list[str]) -> None:
    assert _imported_by(arguments).isdisjoint(HEAVY)


def test_the_help_of_a_command_imports_no_pytorch_and_no_dagster() -> None:
    program = (
        "import json, sys\n"
        "from calibration_pipeline.interfaces.cli import main\n"
        "imported = {}\n"
        "for name in sys.argv[1:]:\n"
        "    main([name, '--help'], prog_name='calibrate', standalone_mode=False)\n"
        "    imported[name] = sorted(sys.modules.keys() & {'torch', 'pyro', 'py_irt', 'dagster'})\n"
        "print(json.dumps(imported))\n"
    )
    # One after another in one interpreter, where the first that imports them is found.
    assert json.loads(_printed_by(program, *COMMANDS)) == {name: [] for name in COMMANDS}


def _imported_by(arguments: list[str]) -> set[str]:
    """Run the command line in a new interpreter and give the top-level modules it imported."""
    program = (
        "import atexit, sys\n"
        "def report():\n"
        "    print('\\nMODULES', *{name.split('.')[0] for name in sys.modules})\n"
        "atexit.register(report)\n"
        "from calibration_pipeline.interfaces.cli import main\n"
        "main(sys.argv[1:], prog_name='calibrate')\n"
    )
    marker, *modules = _printed_by(program, *arguments).split()
    assert marker == "MODULES"
    return set(modules)


def _printed_by(program: str, *arguments: str) -> str:
    """The last line that a new interpreter prints."""
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert ended.stdout, ended.stderr
    return ended.stdout.splitlines()[-1]
