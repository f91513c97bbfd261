"""`python -m calibration_pipeline.interfaces.cli` is `calibrate`."""

from calibration_pipeline.interfaces.cli import main

main(prog_name="calibrate")
