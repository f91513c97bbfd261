"""Names of other systems in messages: on one line, shortened, and the nearest one that there is."""

import difflib
import re
from collections.abc import Collection

_LONGEST = 64


def nearest_name(name: str, among: Collection[str]) -> str | None:
    """Give the name that was meant, whatever its letters' case; None if nothing is like it."""
    by_small_letters = {candidate.lower(): candidate for candidate in among}
    found = difflib.get_close_matches(name.lower(), by_small_letters, n=1, cutoff=0.5)
    return by_small_letters[found[0]] if found else None


def nearest(name: str, among: Collection[str]) -> str:
    """Suggest what was meant, as the end of a sentence; empty if nothing is like it."""
    found = nearest_name(name, among)
    return "" if found is None else f"; did you mean {readable(found)}?"


def asked(name: str, among: Collection[str]) -> str:
    """Suggest what was meant, in brackets after the name; empty if nothing is like it."""
    found = nearest_name(name, among)
    return "" if found is None else f" (did you mean {readable(found)}?)"


def readable(name: str) -> str:
    """Give a name within one line of text; a long one's beginning."""
    shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    return shown if re.fullmatch(r"[\w.]+", shown) else ascii(shown)
