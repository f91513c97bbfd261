"""Item response theory: numerics on arrays, without ids, dates or I/O."""
