"""Thin Dagster glue: partitions, assets, checks, resources, schedule."""
