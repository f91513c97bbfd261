"""Nightly Bayesian re-calibration of the item parameters of an adaptive test."""
