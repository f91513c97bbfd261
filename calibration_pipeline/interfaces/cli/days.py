"""A day as an option of a command."""

from datetime import datetime
from typing import Any

import click


class Day(click.DateTime):
    """A date such as 2026-03-01; whatever else is given is refused with an example of one."""

    def __init__(self) -> None:
        super().__init__(["%Y-%m-%d"])

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read a day, which is its first moment.

        Raises
        ------
        click.BadParameter
            It is no day.
        """
        try:
            day: datetime = super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is no day, write one as 2026-03-01", param, ctx)
        return day


DAY = Day()
