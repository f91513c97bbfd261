"""Whether the extra `bayes` is installed. Imports none of it, which takes seconds."""

from importlib.util import find_spec

PACKAGES = ("torch", "pyro", "py_irt")
"""As they are imported."""


def missing_extra(*packages: str) -> str:
    """Say in one line what has to be installed; an empty string if nothing has to.

    Parameters
    ----------
    packages
        Those that are needed, as they are imported: of `PACKAGES`.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if not missing:
        return ""
    return (
        f"{' and '.join(missing)} not installed: pip install 'calibration-pipeline[bayes]' "
        "(Python 3.11 for py_irt)"
    )
