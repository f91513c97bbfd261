"""Pyro and PyTorch: the only package that imports them, and nothing of a night imports it.

They are the extra ``bayes``. Whatever calls in here does so late, inside a function, and says in
one line what to install when they are missing (`calibration_pipeline.bayes.availability`).
"""
