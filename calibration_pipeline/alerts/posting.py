"""One POST of JSON to an address that is a secret."""

import http.client
import time
import urllib.error
import urllib.request


def post_json(url: str, body: bytes, *, timeout_seconds: float, tries: int) -> str:
    """Post a body, several times if need be.

    Parameters
    ----------
    url
        Begins with http:// or https://, which the settings check. It may hold a secret.
    timeout_seconds
        Without a sign from the other side, for each try.
    tries
        How often, at most.

    Returns
    -------
    str
        Why it failed, without the address; empty if it went through.
    """
    request = urllib.request.Request(  # noqa: S310 - the settings let http and https through
        url, data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    reason = ""
    for attempt in range(tries):
        if attempt:
            time.sleep(min(0.5 * attempt, timeout_seconds))
        try:
            with urllib.request.urlopen(request, timeout=timeout_seconds):  # noqa: S310 - as above
                return ""
        except urllib.error.HTTPError as error:
            reason = f"it answered {error.code}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            reason = type(cause).__name__
    return reason
