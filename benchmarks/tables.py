"""Tables and paragraphs of the page."""

import textwrap


def table(head: list[str], rows: list[list[str]]) -> str:
    """Write a table in Markdown; numbers stand to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def prose(text: str) -> str:
    """Wrap a paragraph."""
    return textwrap.fill(text, 98) + "\n"
