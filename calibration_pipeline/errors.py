"""Errors that a person can mend: what failed, why, and what to do, in one line each."""


class CalibrationError(Exception):
    """Base of every error that ends in one clear line instead of a traceback."""


class BadInputError(CalibrationError):
    """A file or an argument can't be used as it stands."""


class DatabaseUnavailableError(CalibrationError):
    """The database can't be reached, or can't be started."""


class SchemaRevisionError(CalibrationError):
    """The database's schema isn't the one this version of the program needs."""


class NightBlockedError(CalibrationError):
    """A night can't be calibrated; nothing was published."""


class LockHeldError(CalibrationError):
    """Another calibration is running."""


class LockLostError(CalibrationError):
    """The run's lock was lost, so it must not publish."""


class PublicationConflictError(CalibrationError):
    """The alias moved between the audit and the publication."""
