"""The pages' templates: where they are, and how they write numbers."""

import math
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from calibration_pipeline.records import ItemKey

UNKNOWN = "–"


@cache
def template_environment() -> Environment:
    """Give the environment of the package's templates; every value is escaped."""
    environment = Environment(
        loader=PackageLoader("calibration_pipeline.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count_text, decimal=decimal_text, signed=signed_text, item=item_text
    )
    return environment


def count_text(value: int) -> str:
    """Write a whole number with its thousands set apart: 15,000."""
    return f"{value:,}"


def decimal_text(value: float, digits: int = 2) -> str:
    """Write a number with a true minus sign; a dash where it isn't finite."""
    return _written(value, f"z.{digits}f")


def signed_text(value: float, digits: int = 2) -> str:
    """Write a change, with its sign unless it rounds to nothing."""
    text = _written(value, f"+z.{digits}f")
    return text if text.strip("+0.") else "0"


def item_text(key: ItemKey) -> str:
    """Write an item as the rest of the programme does: ``item_id@content_version``."""
    return "@".join(map(str, key))


def counted(count: int, singular: str, plural: str = "") -> str:
    """Write a number with its noun: 1 flag, 2 flags."""
    return f"{count_text(count)} {singular if count == 1 else plural or singular + 's'}"


def _written(value: float, form: str) -> str:
    return format(value, form).replace("-", "−") if math.isfinite(value) else UNKNOWN
