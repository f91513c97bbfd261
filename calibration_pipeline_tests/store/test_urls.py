import pytest

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.urls import (
    redacted,
    to_libpq,
    to_psycopg2,
    to_psycopg3,
    with_public_schema,
)


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+psycopg"]
)
def test_every_spelling_of_postgresql_gets_the_driver_asked_for(scheme):
    rest = "://calibrator:p%40ss%2Fword@db.example:6432/exams?sslmode=require"
    assert to_psycopg3(scheme + rest) == "postgresql+psycopg" + rest
    assert to_psycopg2(scheme + rest) == "postgresql+psycopg2" + rest


def test_options_of_the_operators_own_are_left_alone():
    plain = "postgresql://me@db/exams"
    assert with_public_schema(plain) == plain + "?options=-csearch_path%3Dpublic"
    assert with_public_schema(plain + "?options=-cx%3D1") == plain + "?options=-cx%3D1"


def test_a_socket_url_keeps_its_folder():
    url = "postgresql://calibration@/calibration?host=/run/a&port=5432"
    assert to_psycopg2(url) == url.replace("postgresql:", "postgresql+psycopg2:").replace(
        "/run/a", "%2Frun%2Fa"
    )


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("mysql://root:hunter2@db/exams", "'mysql'"),
        ("sqlite:///exams.db", "'sqlite'"),
        ("hunter2", "can't be read"),
        ("postgresql://me:hunter2@db:port/exams", "can't be read"),
        ("postgresql://me:hunter2@db", "names no database"),
    ],
)
def test_other_urls_are_refused_in_one_line_without_the_password(url, what):
    with pytest.raises(BadInputError, match=what) as refusal:
        to_psycopg3(url)
    assert "hunter2" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("between", ["@", "/", "?", "#", "@/", "/@", "?x=1@", "@h/d?"])
@pytest.mark.parametrize("prepare", [to_psycopg2, to_psycopg3, to_libpq])
def test_a_password_that_is_not_encoded_is_refused_and_no_part_of_it_named(prepare, between):
    url = f"postgresql://bob:hunter{between}cret@db:1/exams"
    with pytest.raises(BadInputError, match="percent-encoded") as refusal:
        prepare(url)
    for text in (str(refusal.value), redacted(url)):
        assert "hunter" not in text
        assert "cret" not in text


def test_an_encoded_password_comes_through():
    url = "postgresql://bob:a%40b%2Fc%3Fd%23e:f@db:1/exams?application_name=x%40y"
    assert redacted(url) == "postgresql://bob:***@db:1/exams?application_name=x%40y"
    assert ":a%40b%2Fc" in to_libpq(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@db/exams",
        "postgresql://me@db/exams?password=hunter2",
        "postgresql://me:hunter2@db:port/exams",
    ],
)
def test_redacted_hides_the_password(url):
    assert "hunter2" not in redacted(url)


def test_redacted_keeps_what_helps_to_find_the_server():
    assert redacted("postgres://me:hunter2@db:6432/exams") == "postgres://me:***@db:6432/exams"
