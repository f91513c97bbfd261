"""PostgreSQL and Parquet: the only place that speaks SQL."""
