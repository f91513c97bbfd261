"""docs/operations.md is true: its commands run, in their order, and end as the page says."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline_tests.pages import FENCE, Operator, Step, read_page
from calibration_pipeline_tests.processes import PROJECT, bare_environment
from calibration_pipeline_tests.snippets import code_blocks

PAGE = (PROJECT / "docs" / "operations.md").read_text()
CHAPTERS = read_page(PAGE)
INLINE = re.compile(r"`((?:calibrate|dagster)[ -][^`\n]+)`")
BARE = ("LANG", "TMPDIR")


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Somebody in a folder with the project's Dagster files, and nothing else set up."""
    folder = tmp_path_factory.mktemp("operations") / "project"
    folder.mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, folder)
    environment = bare_environment() | {n: os.environ[n] for n in BARE if n in os.environ}
    programs = Path(sys.executable).parent
    environment |= {"PATH": f"{programs}:{environment['PATH']}"}
    environment |= {"CALIBRATION_CROSS_CHECKS": "false"}  # minutes of computing after each night
    working = Operator(CHAPTERS, folder, environment)
    try:
        yield working
    finally:
        for home in working.homes:
            EmbeddedServer(home).remove()


@pytest.mark.slow  # four dozen commands, a daemon and a web server
@pytest.mark.parametrize("number", range(len(CHAPTERS)), ids=[c.title for c in CHAPTERS])
def test_a_chapter_runs_as_it_says(operator: Operator, number: int) -> None:
    operator.work_through(number)


def test_no_block_is_left_out() -> None:
    fences = re.findall(r"^```", PAGE, re.MULTILINE)
    assert len(fences) == 2 * sum(len(chapter.blocks) for chapter in CHAPTERS)
    assert len(fences) > 20


def test_commands_named_in_the_text_are_among_those_that_run() -> None:
    run = [step.command for chapter in CHAPTERS for block in chapter.blocks for step in block]
    run += [text for language, text in code_blocks("api.md") if language == "sh"]
    for named in INLINE.findall(FENCE.sub("", PAGE)):
        words = re.match(r"[a-z-]+(?: [a-z-]+\b(?!=))*", named)
        assert words is not None
        assert any(words[0] in command for command in run), f"nothing runs `{named}`"


def test_a_wrong_exit_code_or_output_fails(tmp_path: Path) -> None:
    """The runner notices what it is there for."""
    worker = Operator((), tmp_path, {"PATH": os.environ["PATH"]})
    for step in (
        Step("false"),
        Step("true  # exit code 1"),
        Step("false | true"),
        Step("echo one", ("two",)),
        Step("printf 'two\\none\\n'", ("one", "two")),
    ):
        with pytest.raises(AssertionError):
            worker.work_on([step])
    kept = Step("export WORD=kept; echo 'a   b │ c'", ("a b … c",))
    worker.work_on([kept, Step('echo "$WORD"; false # exit code 1', ("kept",))])
