"""Alerts: one clear line to whoever has to look, by log, e-mail or webhook."""
