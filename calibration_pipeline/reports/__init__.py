"""What people read in the morning: one page per night, and an index of nights."""
