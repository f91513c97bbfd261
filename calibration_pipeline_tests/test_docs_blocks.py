"""Every fenced block of every page is run by a test, is no code, or says why it is not run.

Which test runs a page's blocks is in `RUN_ELSEWHERE`; those of `WORKED_THROUGH` are run here, with
what the test's programme has in place of the names that the page makes up. A block that can't be
run has the line ``<!-- not run: the reason -->`` above it.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import sqlalchemy as sa

from calibration_pipeline.interfaces.cli import main
from calibration_pipeline.policy.simulated_programme import simulate_programme
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.simulated_files import write_simulated_files
from calibration_pipeline_tests.database import fresh_database
from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT
from calibration_pipeline_tests.programme import (
    FIRST,
    LAST,
    PLAN,
    Programme,
    calibrated,
    calibrated_copy,
    dagster_template,
    dagster_url,
    environment_of,
    loaded_template,
    programme_on,
)
from calibration_pipeline_tests.snippets import statements

__all__ = [
    "calibrated",
    "calibrated_copy",
    "dagster_template",
    "dagster_url",
    "loaded_template",
]

PAGES = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").rglob("*.md"))]
RUN_ELSEWHERE = {
    ("docs/operations.md", "console"): "test_operations.py",
    ("docs/operations.md", "sql"): "test_operations.py",
    ("docs/api.md", "sh"): "test_docs_api.py",
    ("docs/reading-versions.md", "python"): "test_docs_reading.py",
    ("docs/reading-versions.md", "sql"): "test_docs_reading.py",
    ("docs/reading-versions.md", "sh"): "test_docs_reading.py",
    ("docs/readiness.md", "console"): "test_docs_readiness.py",
    ("docs/roles.md", "sh"): "test_docs_roles.py",
    ("docs/roles.md", "sql"): "test_docs_roles.py",
}
WORKED_THROUGH = (
    "README.md", "docs/anchors.md", "docs/cold-start.md", "docs/commands.md", "docs/exposure.md",
    "docs/flags.md", "docs/leaks.md", "docs/personal-data.md",
)  # fmt: skip
"""Pages whose blocks this file runs."""
PROGRAMS = (
    "calibrate",
    "make",
    "python",
    ".venv/bin/python",
    "curl",
    "psql",
    "echo",
    "export",
    ".",
)
ASSIGNMENT = re.compile(r"[A-Z_]+=\S")
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\n+$", re.DOTALL)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REMARK = re.compile(r" {2,}(?:#.*|[a-z].*)$")
"""What stands beside a command, after some blanks."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, its number there, and why it isn't run; empty if it is."""

    page: str
    number: int
    language: str
    text: str
    not_run: str

    @property
    def commands(self) -> list[str]:
        """Its lines of code, without remarks; a line that goes on below is one."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [REMARK.sub("", line).strip() for line in lines if is_code(line)]

    @property
    def is_run_elsewhere(self) -> bool:
        return (self.page, self.language) in RUN_ELSEWHERE


def is_code(line: str) -> bool:
    line = line.removeprefix("$ ")
    return line.split(" ")[0] in PROGRAMS or bool(ASSIGNMENT.match(line))


def blocks() -> Iterator[Block]:
    for path in PAGES:
        text = path.read_text()
        for number, found in enumerate(FENCE.finditer(text), 1):
            reason = NOT_RUN.search(text[: found.start()])
            name = str(path.relative_to(PROJECT))
            yield Block(name, number, found[1], found[2], reason[1] if reason else "")


BLOCKS = list(blocks())


def named(block: Block) -> str:
    return f"{block.page}:{block.number}"


@pytest.mark.parametrize("block", BLOCKS, ids=named)
def test_every_block_is_run_or_says_why_not(block: Block) -> None:
    if block.is_run_elsewhere or block.page in WORKED_THROUGH:
        assert not (block.not_run and block.is_run_elsewhere), "it is run: take the remark away"
    elif block.language or block.commands:
        assert len(block.not_run.split()) >= 4, "nobody runs it, and it doesn't say why"


def test_the_tests_that_run_pages_exist() -> None:
    for (page, language), test in RUN_ELSEWHERE.items():
        assert Path(page).name in (Path(__file__).with_name(test)).read_text()
        assert any((block.page, block.language) == (page, language) for block in BLOCKS)


CALLS = [
    (named(block), command)
    for block in BLOCKS
    for line in block.commands
    for command in re.findall(r"calibrate (?!\()[^|`()]*[^|`() ]", line.removeprefix("$ "))
]


@pytest.mark.parametrize(("where", "call"), CALLS, ids=[f"{w} {c}"[:70] for w, c in CALLS])
def test_every_call_is_one_that_the_command_understands(where: str, call: str) -> None:
    """Its options and arguments exist; of files and versions that it names nothing is asked."""
    plain = re.split(r" (?:>|2>|#)", call)[0].replace("\\", "")
    try:
        words = shlex.split(plain)[1:]
    except ValueError:  # the rest of a quoted argument is a command of its own
        words = plain.replace('"', "").split()[1:]
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group) and words and words[0] in command.list_commands(context):
        found = command.get_command(context, words.pop(0))
        assert found is not None
        command = found
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    known |= {"--help", "-h", "--version"}
    used = {word.split("=")[0] for word in words if word.startswith("-") and word != "-"}
    assert {word for word in used if not re.match(r"-\d", word)} <= known, f"{where}: {call}"
    assert not isinstance(command, click.Group) or command.invoke_without_command or not words


# What the pages make up → what the test's programme has, in the order of replacement.
STAND_INS: list[tuple[str, str | Callable[[Programme], str]]] = [
    (r"item-0815", lambda own: flagged_item(own)),
    (r"item-0004", "item-004"),
    (r"\b3f2a90b1\b", lambda own: own.scalar("SELECT min(run_id::text) FROM calibration.runs")[:8]),
    (r"--flag misfit_outfit", ""),
    (r"\bcal_Ab3dEf9h\b", "$(head -c 12 engine.token)"),
    (r"--from \S+ --to \S+", f"--from {LAST} --to {LAST}"),
    (r"--as-of \S+|--as-of=\S+", f"--as-of {LAST}"),
    (r"\b2026-\d\d-\d\d\b", str(LAST)),
    (r"promote 12(.*)--expect 14", r"promote 7\1--expect 8"),
    (r"(snapshots diff) 12\b", r"\1 7"),
    (r"(anchors (?:show|activate|diff current)) 3\b", r"\1 2"),
    (r"notify-the-data-lead", "true"),
]
MAY_REFUSE = ("status", "exposure", "readiness", "anchors select", "quarantine")
"""Whose answer may be no on so small a programme: exit code 1 is an answer."""


def answers_of(command: str) -> tuple[int, ...]:
    return (0, 1) if any(f"calibrate {own}" in command for own in MAY_REFUSE) else (0,)


EVERY_FLAG = {"CALIBRATION_POLICY__FLAGS__REVIEW_ONLY_CREDIBLE": "false"}
"""Reviewers see flags that chance may explain, too: so small a programme may have no others."""


def flagged_item(programme: Programme) -> str:
    """An item that is flagged on the newest night, credibly if there is one."""
    return str(
        programme.scalar(
            "SELECT f.item_id FROM calibration.flags AS f "
            "JOIN calibration.state_evaluations AS e USING (evaluation_id) "
            "ORDER BY e.partition DESC, f.is_credible DESC, 1 LIMIT 1"
        )
    )


def shell(
    command: str, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    tool = f'calibrate() {{ {sys.executable} -m calibration_pipeline.interfaces.cli "$@"; }}'
    bare = {k: v for k, v in os.environ.items() if not k.startswith("CALIBRATION_")}
    return subprocess.run(
        ["bash", "-c", f"set -uo pipefail\n{tool}\n{command}"],
        env=bare | environment | {"PYTHONPATH": str(PROJECT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def prepare_files(folder: Path) -> None:
    """The files that the pages name."""
    simulated = simulate_programme(PLAN)
    files = write_simulated_files(
        folder / "files", simulated.pool.bank_columns(), simulated.pool.truth_columns(),
        (day.columns(simulated.pool.item_ids) for day in simulated.days()),
    )  # fmt: skip
    (folder / "bank.csv").write_bytes(files.bank.read_bytes())
    (folder / "responses.parquet").write_bytes(files.responses.read_bytes())
    answers = [
        f"p{person},q{item},{int((person * 7 + item * 3) % 5 < 3)}"
        for person in range(60)
        for item in range(12)
    ]
    (folder / "responses.csv").write_text("\n".join(["person_id,item_id,correct", *answers, ""]))
    table = ["item_id,discrimination,difficulty,guessing"]
    for name, shift in (("old", 0.0), ("new", 0.3)):
        (folder / name).mkdir()
        rows = [f"q{n},{1 + n % 3 / 4},{(n - 6) / 3 + shift},0.2" for n in range(12)]
        (folder / name / "items.csv").write_text("\n".join([*table, *rows, ""]))
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, folder)
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "activate").touch()


@pytest.mark.slow  # some eighty commands, each in a process of its own
@pytest.mark.parametrize("page", [page for page in WORKED_THROUGH if page != "README.md"])
def test_a_page_runs_from_top_to_bottom(
    page: str, calibrated_copy: Programme, dagster_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    prepare_files(folder)
    environment = environment_of(calibrated_copy.settings, dagster_url) | {
        "CANDIDATE": calibrated_copy.scalar(
            "SELECT min(candidate_id) FROM calibration.response_log"
        ),
        "CALIBRATION_RETENTION_DAYS": "36500",
    }
    stand_ins = [(old, new(calibrated_copy) if callable(new) else new) for old, new in STAND_INS]
    for block in BLOCKS:
        if block.page != page or block.not_run:
            continue
        if block.language == "sql":
            for query in statements(block.text):
                with calibrated_copy.engine.connect() as connection:
                    connection.execute(sa.text(query))
        for command in block.commands:
            for old, new in stand_ins:
                command = re.sub(old, new, command)
            calibrated_copy.engine.dispose()
            reviewing = EVERY_FLAG if "calibrate flags" in command else {}
            ended = shell(command, folder, environment | reviewing)
            assert ended.returncode in answers_of(command), (
                f"$ {command}\n{ended.stdout}{ended.stderr}"
            )
            assert "Traceback" not in ended.stderr


@pytest.mark.slow  # three nights
def test_the_readme_runs_on_data_of_ones_own(
    embedded_server: EmbeddedServer, dagster_url: str, tmp_path: Path
) -> None:
    prepare_files(tmp_path)
    days = {"2026-03-01": FIRST, "2026-04-30": FIRST.replace(day=FIRST.day + 2)}
    with fresh_database(embedded_server) as url:
        settings = programme_on(url, tmp_path / "home").settings
        environment = environment_of(settings, dagster_url)
        own_page = [block for block in BLOCKS if block.page == "README.md" and not block.not_run]
        # What looks at nights comes before them on the page: there it is the demo's.
        for block in sorted(own_page, key=lambda block: "calibrate migrate" not in block.text):
            for command in block.commands:
                command = command.replace("item-0815", "item-081")
                for shown, own in days.items():
                    command = command.replace(shown, str(own))
                command = re.sub(r"\b12\b", "3", re.sub(r"\b11\b", "2", command))
                ended = shell(command, tmp_path, environment)
                assert ended.returncode in answers_of(command), (
                    f"$ {command}\n{ended.stdout}{ended.stderr}"
                )
