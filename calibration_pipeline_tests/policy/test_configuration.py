from dataclasses import fields, replace

import pytest

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.policy.configuration import CalibrationConfiguration


def test_equal_settings_have_equal_digests():
    assert CalibrationConfiguration().digest == CalibrationConfiguration().digest


@pytest.mark.parametrize("name", [f.name for f in fields(CalibrationConfiguration)])
def test_every_setting_is_in_the_digest(name):
    default = CalibrationConfiguration()
    value = getattr(default, name)
    if isinstance(value, EMConfiguration):
        other = replace(value, tolerance=0.5)
    else:
        other = (value[0] - 1, value[1]) if isinstance(value, tuple) else value + 1
    assert replace(default, **{name: other}).digest != default.digest
