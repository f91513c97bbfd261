"""Alerts: what they say, and how they get to people."""
