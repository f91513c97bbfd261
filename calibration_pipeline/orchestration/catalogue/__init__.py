"""What Dagster's catalogue says of each asset: owners, columns with units, lineage, freshness."""
