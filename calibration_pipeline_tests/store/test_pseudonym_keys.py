"""The key of the pseudonyms: recorded when it is first used, another one refused until accepted."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError, LockHeldError
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.pseudonym_keys import accept_key, fingerprint, known_key
from calibration_pipeline.store.pseudonyms import pseudonyms_of
from calibration_pipeline.store.tables import candidate_map, pseudonym_keys
from calibration_pipeline_tests.store.privacy import count

OWN, OTHER = "the key of this programme", "the key of another programme"
REFUSED = (
    r"isn't the one .* restore `pseudonym.key` .*`calibrate db accept-key`\); nothing was done"
)


def link(engine: sa.Engine, key: str, *candidates: str) -> None:
    """Links as extraction makes them."""
    pseudonyms = pseudonyms_of(key.encode(), "candidate", candidates)
    rows = [
        {"pseudonym": pseudonym, "candidate_id": candidate}
        for pseudonym, candidate in zip(pseudonyms, candidates, strict=True)
    ]
    with engine.begin() as connection:
        connection.execute(sa.insert(candidate_map), rows)


def test_another_key_is_refused_once_there_are_pseudonyms(
    engine: sa.Engine, tmp_path: Path
) -> None:
    assert known_key(OWN, tmp_path, engine) == OWN.encode()
    link(engine, OWN, "ann")
    for keep in (True, False):
        with pytest.raises(BadInputError, match=REFUSED):
            known_key(OTHER, tmp_path, engine, keep=keep)
    assert known_key(OWN, tmp_path, engine) == OWN.encode()
    assert count(engine, pseudonym_keys) == 1


def test_a_key_is_refused_where_all_links_are_gone_but_an_erased_person_is_known(
    engine: sa.Engine, tmp_path: Path
) -> None:
    known_key(OWN, tmp_path, engine)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO calibration.suppressions (pseudonym, is_erased) VALUES (:p, true)"
            ),
            {"p": pseudonyms_of(OWN.encode(), "candidate", ["ann"])[0]},
        )
    with pytest.raises(BadInputError, match=REFUSED):
        known_key(OTHER, tmp_path, engine)


def test_before_the_first_pseudonym_a_key_can_be_replaced(
    engine: sa.Engine, tmp_path: Path
) -> None:
    made = known_key(None, tmp_path / "first home", engine)
    again = known_key(None, tmp_path / "second home", engine)
    assert made != again
    link(engine, OWN, "ann")
    assert known_key(None, tmp_path / "second home", engine) == again
    with pytest.raises(BadInputError, match=REFUSED):
        known_key(None, tmp_path / "first home", engine)


def test_while_somebody_may_be_making_pseudonyms_no_key_takes_anothers_place(
    engine: sa.Engine, tmp_path: Path
) -> None:
    """A first night has recorded its key, and not yet its first day."""
    known_key(OWN, tmp_path, engine)
    with CalibrationLock(engine, "a first night"):
        with pytest.raises(LockHeldError, match="a first night"):
            known_key(OTHER, tmp_path, engine)
        with pytest.raises(LockHeldError, match="a first night"):
            accept_key(engine, OTHER.encode(), accepted_by="operator", reason="lost")
        assert known_key(OWN, tmp_path, engine) == OWN.encode()
    assert known_key(OTHER, tmp_path, engine) == OTHER.encode()


@pytest.mark.parametrize("keep", [True, False])
def test_a_database_of_before_the_record_is_asked_whether_a_key_fits_its_links(
    engine: sa.Engine, tmp_path: Path, keep: bool
) -> None:
    link(engine, OTHER, "someone from before the key was changed")
    link(engine, OWN, "ann", "bob")
    with pytest.raises(BadInputError, match=REFUSED):
        known_key("a third one", tmp_path, engine, keep=keep)
    assert known_key(OWN, tmp_path, engine, keep=keep) == OWN.encode()
    assert count(engine, pseudonym_keys) == keep


def test_a_key_that_is_accepted_is_in_use_and_the_old_one_is_not(
    engine: sa.Engine, tmp_path: Path
) -> None:
    known_key(OWN, tmp_path, engine)
    link(engine, OWN, "ann")
    accept_key(engine, OTHER.encode(), accepted_by="operator", reason="lost")
    assert known_key(OTHER, tmp_path, engine) == OTHER.encode()
    with pytest.raises(BadInputError, match=REFUSED):
        known_key(OWN, tmp_path, engine)
    with pytest.raises(BadInputError, match="in use already: nothing was done"):
        accept_key(engine, OTHER.encode(), accepted_by="operator", reason="again")
    with engine.connect() as connection:
        newest = connection.execute(
            sa.select(pseudonym_keys).order_by(pseudonym_keys.c.ordinal.desc())
        ).first()
    assert newest is not None
    assert (newest.ordinal, newest.accepted_by, newest.reason) == (2, "operator", "lost")


def test_of_two_first_keys_at_once_one_is_refused(engine: sa.Engine, tmp_path: Path) -> None:
    def first_key(name: str) -> bool:
        try:
            known_key(name, tmp_path, engine)
        except BadInputError:
            return False
        return True

    link(engine, OWN, "ann")
    link(engine, OTHER, "ann")
    with ThreadPoolExecutor(8) as pool:
        are_known = list(pool.map(first_key, [OWN, OTHER] * 8))
    assert set(are_known[::2]) != set(are_known[1::2])
    assert count(engine, pseudonym_keys) == 1


def test_what_a_key_is_recognised_by_is_nobodys_pseudonym() -> None:
    key = OWN.encode()
    assert len(fingerprint(key)) == 16
    assert fingerprint(key) != fingerprint(OTHER.encode())
    # `fingerprint` hashes no kind of id: see `pseudonyms_of`.
    assert fingerprint(key) not in [
        *pseudonyms_of(key, "candidate", ["", "pseudonym key"]),
        *pseudonyms_of(key, "session", ["", "pseudonym key"]),
    ]
