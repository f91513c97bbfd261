"""The database roles: created, and given what `calibration_pipeline.store.privileges` says.

Roles belong to the whole server, what they may do to each database. So `migrate` renews the grants
only in a database where `calibrate db roles` has been run.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError, MissingPrivilegeError
from calibration_pipeline.store.privileges import ADMINISTRATOR, PIPELINE, PRIVILEGES, ROLES
from calibration_pipeline.store.tables.base import SCHEMA

# Extraction and imports stage what they read.
_NEED_TEMPORARY_TABLES = (PIPELINE, ADMINISTRATOR)
# Grants of two sessions on one table end in "tuple concurrently updated"; migrations take it too.
SCHEMA_LOCK = 0x63616C6D

_CREATE = """
DO $$
BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION
    -- Another session was quicker.
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$
"""
_OWNERS = sa.text(
    "SELECT r.rolname FROM pg_roles AS r, pg_class AS c"
    " WHERE c.oid = 'calibration.snapshots'::regclass AND r.rolname = ANY(:roles)"
    " AND pg_has_role(r.rolname, c.relowner, 'MEMBER')"
)
_NOT_OWNED = sa.text(
    "SELECT relname, pg_get_userbyid(relowner) AS owner FROM pg_class"
    " WHERE relnamespace = 'calibration'::regnamespace AND relkind IN ('r', 'v')"
    " AND NOT pg_has_role(relowner, 'USAGE') ORDER BY relname LIMIT 1"
)
_MAY_CREATE = sa.text("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user")
_MAY_STAGE = sa.text("SELECT has_database_privilege(:role, current_database(), 'TEMPORARY')")
_IN_USE = sa.text(
    "SELECT rolname FROM pg_roles WHERE rolname = ANY(:roles)"
    " AND has_schema_privilege(rolname, 'calibration', 'USAGE')"
)


@dataclass(frozen=True)
class DatabaseRole:
    """A role as it stands in this database.

    Attributes
    ----------
    name, purpose
        What it is called, and who needs it.
    is_new
        Whether it was created just now.
    reads, writes
        How many tables and views it may read, and how many it may add rows to or change.
    """

    name: str
    purpose: str
    is_new: bool
    reads: int
    writes: int


def create_roles(engine: sa.Engine) -> tuple[DatabaseRole, ...]:
    """Create the roles that the server lacks, and give each what it may do, and no more.

    Doing it again changes nothing. Roles that exist need no right to create roles.

    Raises
    ------
    MissingPrivilegeError
        The login doesn't own the tables, or may not create roles.
    BadInputError
        A role of that name is a superuser, or owns the tables: grants wouldn't bind it.
    """
    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(SCHEMA_LOCK)))
        _require_ownership(connection)
        missing = [role for role in ROLES if role not in _existing(connection)]
        if missing and not connection.scalar(_MAY_CREATE):
            statements = "; ".join(f"CREATE ROLE {role} NOLOGIN" for role in missing)
            raise MissingPrivilegeError(
                "this login may not create roles (it lacks CREATEROLE): have an administrator of "
                f"the server run `{statements}`, then run `calibrate db roles` again"
            )
        for role in missing:
            connection.execute(sa.text(_CREATE.format(role=role)))
        _refuse_owners(connection)
        for role in ROLES:
            _grant(connection, role)
    return tuple(
        DatabaseRole(role, purpose, role in missing, *_counts(role))
        for role, purpose in ROLES.items()
    )


def renew_grants(connection: sa.Connection) -> None:
    """Extend the roles' grants to the tables that there are now, if this database uses roles.

    Parameters
    ----------
    connection
        Of the tables' owner, holding `SCHEMA_LOCK`.
    """
    for role in connection.scalars(_IN_USE, {"roles": list(ROLES)}).all():
        _grant(connection, role)


def _require_ownership(connection: sa.Connection) -> None:
    """What a login doesn't own it would grant without effect, and PostgreSQL would only warn."""
    found = connection.execute(_NOT_OWNED).one_or_none()
    if found is not None:
        raise MissingPrivilegeError(
            f"this login doesn't own the table {found.relname}, so it can't say who may use it: "
            f"run this as {found.owner}, or as a superuser"
        )


def _existing(connection: sa.Connection) -> Collection[str]:
    query = sa.text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:roles)")
    return connection.scalars(query, {"roles": list(ROLES)}).all()


def _refuse_owners(connection: sa.Connection) -> None:
    owners = connection.scalars(_OWNERS, {"roles": list(ROLES)}).all()
    if owners:
        raise BadInputError(
            f"the role {owners[0]} is a superuser, or acts as the owner of the tables, so nothing "
            f"could be kept from it: run ALTER ROLE {owners[0]} NOSUPERUSER or take it out of the "
            "owner's role, and let another login own the tables"
        )


def _grant(connection: sa.Connection, role: str) -> None:
    """Give a role what the matrix says and no more; until the commit, it keeps what it had."""
    for everything in ("TABLES", "SEQUENCES", "FUNCTIONS"):
        connection.execute(
            sa.text(f"REVOKE ALL ON ALL {everything} IN SCHEMA {SCHEMA} FROM {role}")
        )
    connection.execute(sa.text(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM {role}"))
    connection.execute(sa.text(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}"))
    tables_by_privileges = defaultdict(list)
    for table, privileges in PRIVILEGES[role].items():
        known = privileges if _knows_maintain(connection) else privileges - {"MAINTAIN"}
        if known:
            tables_by_privileges[", ".join(sorted(known))].append(f"{SCHEMA}.{table}")
    for granted, tables in tables_by_privileges.items():
        connection.execute(sa.text(f"GRANT {granted} ON {', '.join(tables)} TO {role}"))
    # Everybody has it unless the operator took it from PUBLIC; only then is there need to grant it.
    may_stage = connection.scalar(_MAY_STAGE, {"role": role})
    if role in _NEED_TEMPORARY_TABLES and not may_stage:
        name = connection.scalar(sa.text("SELECT quote_ident(current_database())"))
        connection.execute(sa.text(f"GRANT TEMPORARY ON DATABASE {name} TO {role}"))


def _knows_maintain(connection: sa.Connection) -> bool:
    """Before PostgreSQL 17 only the owner can VACUUM a table; for others it is skipped."""
    version = connection.dialect.server_version_info
    return version is not None and version >= (17,)


def _counts(role: str) -> tuple[int, int]:
    granted = PRIVILEGES[role].values()
    return (
        sum("SELECT" in privileges for privileges in granted),
        sum(bool(privileges - {"SELECT"}) for privileges in granted),
    )
