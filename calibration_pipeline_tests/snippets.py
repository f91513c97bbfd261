"""The snippets of a documentation page, for the tests that run them as they stand."""

import re

from calibration_pipeline_tests.processes import PROJECT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks(page: str) -> list[tuple[str, str]]:
    """The blocks of a page of docs/ that name a language, with it, from top to bottom."""
    return _BLOCK.findall(_without_plain_blocks((PROJECT / "docs" / page).read_text()))


def statements(block: str) -> list[str]:
    """The SQL statements of a block, without comments."""
    code = re.sub(r"--.*", "", block)
    return [statement for part in code.split(";") if (statement := part.strip())]


def _without_plain_blocks(text: str) -> str:
    """Leave out blocks that name no language: what a program prints."""
    kept: list[str] = []
    inside: str | None = None
    for line in text.splitlines(keepends=True):
        if line.startswith("```"):
            language = line[3:].strip()
            if inside is None:
                inside = language
                if not language:
                    continue
            else:
                was, inside = inside, None
                if not was:
                    continue
        elif inside == "":
            continue
        kept.append(line)
    return "".join(kept)
