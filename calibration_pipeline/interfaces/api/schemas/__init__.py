"""What callers send and get, field by field."""
