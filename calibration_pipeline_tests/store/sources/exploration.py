"""How hypothesis looks for rows that break something: the same ones each time, or new ones.

The default suite tries the same examples every time, so that it can't fail by chance, nor spend
minutes on a smaller example of what nobody has changed. ``EXPLORE=20 pytest …`` tries twenty times
as many, at random; what it finds becomes an `example` of its test.
"""

import os

from hypothesis import HealthCheck, settings

_TIMES = int(os.environ.get("EXPLORE", "0"))


def examples(number: int) -> settings:
    """Try so many examples, or with ``EXPLORE=N`` N times as many others.

    The databases and folders of a test's fixtures are shared by its examples.
    """
    return settings(
        max_examples=number * max(_TIMES, 1),
        derandomize=not _TIMES,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
