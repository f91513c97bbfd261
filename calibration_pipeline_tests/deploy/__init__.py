"""Tests of what is in deploy/: what can be checked without a cluster."""
