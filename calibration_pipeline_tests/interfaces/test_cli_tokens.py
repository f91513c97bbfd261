"""Tokens issued, listed and revoked from the command line; `calibrate api` before it serves."""

import json
import socket

import pytest
import sqlalchemy as sa

from calibration_pipeline.store.tokens import digest_of
from calibration_pipeline_tests.interfaces.conftest import Calibrate


def issued(run: Calibrate, *options: str) -> str:
    result = run("tokens", "issue", "--name", "engine", *options)
    assert result.exit_code == 0, result.stderr
    return str(result.stdout.strip())


def test_a_token_is_shown_once_and_only_its_hash_is_kept(
    on_database: Calibrate, engine: sa.Engine
) -> None:
    token = issued(on_database, "--role", "operator")
    assert token.startswith("cal_")
    assert len(token) > 40
    with engine.connect() as connection:
        row = connection.execute(sa.text("SELECT * FROM calibration.api_tokens")).one()
    assert (row.digest, row.prefix, row.role) == (digest_of(token), token[:12], "operator")
    assert token not in str(row)
    listed = on_database("tokens", "list").stdout + on_database("tokens", "list", "--json").stdout
    assert token not in listed
    assert row.digest not in listed
    assert token[:12] in listed


def test_tokens_have_a_role_a_name_and_an_end(on_database: Calibrate) -> None:
    first, second = issued(on_database), issued(on_database, "--days", "1")
    assert first != second
    rows = json.loads(on_database("tokens", "list", "--json").stdout)
    assert [(row["prefix"], row["role"], row["standing"]) for row in rows] == [
        (second[:12], "reader", "accepted"),
        (first[:12], "reader", "accepted"),
    ]
    assert rows[0]["expires_at"] < rows[1]["expires_at"]
    assert rows[0]["issued_by"]
    assert on_database("tokens", "issue", "--name", " ").exit_code == 2
    assert on_database("tokens", "issue", "--name", "x", "--role", "root").exit_code == 2


def test_a_token_is_revoked_for_good(on_database: Calibrate) -> None:
    token = issued(on_database)
    assert token[:12] in on_database("tokens", "revoke", token[:12]).stderr
    assert on_database("tokens", "revoke", token).exit_code == 0
    (row,) = json.loads(on_database("tokens", "list", "--json").stdout)
    assert row["standing"] == "revoked"
    unknown = on_database("tokens", "revoke", "cal_secretsecret")
    assert unknown.exit_code == 2
    assert "cal_secretsecret" not in unknown.output


def test_the_service_needs_a_free_port_and_a_database_at_its_revision(
    on_database: Calibrate, engine: sa.Engine
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = on_database("api", "--port", port)
    assert refused.exit_code == 1
    assert f"calibrate api --port {port % 65535 + 1}" in refused.stderr
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE calibration.alembic_version SET version_num = '0001'"))
    behind = on_database("api", "--port", port)
    assert behind.exit_code == 1
    assert "calibrate migrate" in behind.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "0"), ("WORKERS", "0"), ("READS_PER_SECOND", "-1"), ("PROT", "1")]
)
def test_a_setting_that_cannot_be_is_refused(
    calibrate: Calibrate, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CALIBRATION_API__{name}", value)
    refused = calibrate("api")
    assert refused.exit_code == 2
    assert name.lower() in refused.stderr.lower()
