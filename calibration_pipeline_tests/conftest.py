"""Fixtures that every test module may use."""

from calibration_pipeline_tests.database import database_url, embedded_server

__all__ = ["database_url", "embedded_server"]
