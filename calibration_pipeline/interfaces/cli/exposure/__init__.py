"""``calibrate exposure``: with what probability items may be given, found by simulation."""

from calibration_pipeline.interfaces.cli.exposure.command import exposure

__all__ = ["exposure"]
