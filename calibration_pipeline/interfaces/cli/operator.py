"""Who is at the keyboard, for the logs of what people decide."""

import getpass
import os


def operator_name() -> str:
    """Give the login name, or the number of an account that has none (as in a container)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
