"""Alembic migrations of the schema `calibration`, packaged so that an installed wheel has them."""
