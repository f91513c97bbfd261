"""``calibrate db accept-key``: go on under another pseudonym key, where the old one is lost."""

import click

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.interfaces.cli.console import say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.operator import operator_name
from calibration_pipeline.settings import load_settings


@click.command("accept-key")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the record.")
def accept_key(reason: str) -> None:
    """Go on under the pseudonym key that is set now, where the one in use is lost for good.

    Candidates who come back count as new, and those who were forgotten or erased aren't recognised
    any more: repeat each act by the id. Recorded with your name.

    Example: calibrate db accept-key --reason "the key went down with its machine"
    """
    from calibration_pipeline.store import pseudonym_keys, pseudonyms

    if not reason.strip():
        raise BadInputError("the reason is blank: say why, for the record")
    settings = load_settings()
    with configured_database(create=False) as database:
        secret = settings.pseudonym_key
        chosen = None if secret is None else secret.get_secret_value()
        if not chosen and not (settings.home / pseudonyms.KEY_FILE).exists():
            # Where nobody is known yet a key is made up, to be forgotten at once.
            raise BadInputError(
                "no pseudonym key is set, so there is none to accept: set "
                "CALIBRATION_PSEUDONYM_KEY to the new one, and repeat the command"
            )
        key = pseudonyms.pseudonym_key(chosen, settings.home, database, keep=False)
        pseudonym_keys.accept_key(database, key, accepted_by=operator_name(), reason=reason.strip())
    say("The key that is set now is in use. Repeat `calibrate forget` for whoever was erased.")
