"""``calibrate db roles``: who may do what in the database."""

from dataclasses import asdict

import click

from calibration_pipeline.interfaces.cli.console import json_option, print_table
from calibration_pipeline.interfaces.cli.database import configured_database

_COLUMNS = {
    "name": "Role",
    "is_new": "Created now",
    "reads": "Tables and views to read",
    "writes": "To add to or change",
    "purpose": "Purpose",
}


@click.command()
@json_option
def roles(as_json: bool) -> None:
    """Create the database roles for nights, for people who decide, and for test engines.

    Each gets what it needs and nothing else; none can log in by itself: give a login one of them,
    with CREATE ROLE engine LOGIN PASSWORD '...' IN ROLE calibration_reader. Run this as the owner
    of the tables, who needs CREATEROLE the first time. Running it again does no harm.

    Example: calibrate db roles
    """
    with configured_database() as database:
        from calibration_pipeline.store.roles import create_roles

        created = create_roles(database)
    print_table([asdict(role) for role in created], _COLUMNS, as_json=as_json)
