"""What people and programs call: the command line, and what Dagster's processes load."""
