"""Errors that a person can mend: what failed, why, and what to do, in one line each."""


class CalibrationError(Exception):
    """Base of every error that ends in one clear line instead of a traceback."""


class BadInputError(CalibrationError):
    """A file or an argument can't be used as it stands."""


class DatabaseUnavailableError(CalibrationError):
    """The database can't be reached, or can't be started."""


class SchemaRevisionError(CalibrationError):
    """The database's schema isn't the one this version of the program needs."""


class SourceError(CalibrationError):
    """Answers can't be read from where they are; nothing was recorded."""


class SourceSettingError(SourceError, BadInputError):
    """A setting names a table, a column or a file that the kind of source doesn't have."""


class SourceUnavailableError(SourceError):
    """The database of the answers can't be reached now, or took too long: another try may do."""


class NightBlockedError(CalibrationError):
    """A night can't be calibrated; nothing was published."""


class LockHeldError(CalibrationError):
    """Another calibration is running."""


class LockLostError(CalibrationError):
    """The run's lock was lost, so it must not write."""


class PublicationConflictError(CalibrationError):
    """Somebody has moved the alias since: a person, whom no run may overrule."""


class MissingPrivilegeError(CalibrationError):
    """The database login may not do this: it lacks a role."""


class LinkOutOfBoundsError(CalibrationError):
    """Linking constants are too far from (1, 0); nothing was written."""


class AnchorSetError(CalibrationError):
    """No anchor set can be selected, or this one not put in force, as things stand."""


class ItemPriorError(CalibrationError):
    """No priors of new items can be learned, as things stand."""


class ExposureNotReachedError(CalibrationError):
    """No probabilities were found that keep items below the maximum exposure rate."""


class NothingPublishedError(CalibrationError):
    """No version has been published yet, or none under that alias."""


class DamagedVersionError(CalibrationError):
    """What is stored of a version isn't what was published."""


class ArchiveWriteError(CalibrationError):
    """The archive can't be written; nothing was recorded."""


class ArchiveUnavailableError(CalibrationError):
    """The archive can't be reached now, or refuses: another try may do."""


class DiskFullError(ArchiveWriteError):
    """A disk has no room for a day's answers, or for a night's page."""


class EngineError(CalibrationError):
    """The cluster that is to compute can't be used as it stands; nothing was recorded."""


class EngineUnavailableError(EngineError):
    """The cluster that is to compute can't be reached, or fell apart: another try may do."""


class RetentionBlockedError(CalibrationError):
    """Answers are past their retention period, and a night still needs them."""


class UnknownCandidateError(CalibrationError):
    """Nothing is kept under a candidate's id."""
