"""Priors of new items round-trip, and the newest accepted ones are in use."""

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import ItemPriorFit, ScaleItemPriors
from calibration_pipeline.store import states
from calibration_pipeline.store.item_priors import (
    fit_in_use,
    list_item_priors,
    read_item_priors,
    store_item_priors,
)
from calibration_pipeline_tests.store.examples import NIGHT, state

TOMORROW = NIGHT + timedelta(days=1)


def scale(name: str = "zeta", n: int = 4) -> ScaleItemPriors:
    generator = np.random.default_rng(len(name))
    return ScaleItemPriors(
        scale=name,
        families=("algebra", "süd"),
        draws={"mean": generator.normal(size=(3, 3)), "chance_sd": np.array(1.0 / 3.0)},
        keys=tuple((f"{name}{k}", 1 + k % 2) for k in range(n)),
        mean=generator.normal(size=(n, 3)),
        covariance=generator.random((n, 3, 3)),
        teaches=np.arange(n) % 2 == 0,
        diagnostics={"pareto_k": 0.4, "covered": [0.95, None, 0.9]},
    )


def a_fit(**changes: Any) -> ItemPriorFit:
    plain = ItemPriorFit(
        (NIGHT, 1), TOMORROW, True, (), (scale(), scale("alpha")), 42, {"a": 1}, "digest 1"
    )
    return replace(plain, **changes)


@pytest.fixture
def night(engine: sa.Engine, run_id: str) -> sa.Engine:
    states.write_state(engine, state(), run_id)
    return engine


def store(engine: sa.Engine, fit: ItemPriorFit) -> tuple[int, bool]:
    return store_item_priors(engine, fit, fitted_by="a test")


def test_a_fit_is_read_as_it_was_written(night: sa.Engine) -> None:
    number, is_new = store(night, a_fit())
    assert is_new
    found = read_item_priors(night, number)
    assert replace(found, scales=()) == replace(a_fit(), scales=(), number=number)
    for read, written in zip(found.scales, a_fit().scales, strict=True):
        for field in fields(ScaleItemPriors):
            a, b = getattr(read, field.name), getattr(written, field.name)
            if field.name == "draws":
                assert {name: v.tobytes() for name, v in a.items()} == {
                    name: v.tobytes() for name, v in b.items()
                }
                assert all(a[name].shape == b[name].shape for name in b)
            else:
                np.testing.assert_array_equal(a, b)


def test_the_same_again_is_not_stored_twice(night: sa.Engine) -> None:
    number, _ = store(night, a_fit())
    assert store(night, a_fit()) == (number, False)
    assert store(night, a_fit(digest="digest 2"))[1]
    assert [stored.fitted_by for stored in list_item_priors(night)] == ["a test"] * 2


def test_the_newest_accepted_fit_is_in_use_from_its_night_on(night: sa.Engine) -> None:
    """What was rejected changes nothing: the version before it stays in use."""
    assert fit_in_use(night, TOMORROW) is None
    first, _ = store(night, a_fit())
    rejected = a_fit(is_accepted=False, reasons=("Pareto k",), digest="digest 2")
    store(night, rejected)
    assert fit_in_use(night, NIGHT) is None
    assert fit_in_use(night, TOMORROW) == first
    later, _ = store(night, a_fit(digest="digest 3", effective_from=TOMORROW + timedelta(days=7)))
    assert fit_in_use(night, TOMORROW + timedelta(days=6)) == first
    assert fit_in_use(night, TOMORROW + timedelta(days=7)) == later
    assert list_item_priors(night)[1].reasons == ("Pareto k",)


def test_a_number_that_is_none_is_said_in_one_line(engine: sa.Engine) -> None:
    with pytest.raises(BadInputError, match="calibrate priors list"):
        read_item_priors(engine, 99)


def test_a_state_remembers_which_priors_it_used(engine: sa.Engine, run_id: str) -> None:
    states.write_state(engine, state(item_prior_fit=5), run_id)
    found = states.read_state(engine, NIGHT)
    assert found is not None
    assert found.item_prior_fit == 5


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("item_prior_fits", "is_accepted"),
        ("item_prior_scales", "position"),
        ("item_prior_draws", "draws"),
        ("item_prior_items", "mean"),
    ],
)
@pytest.mark.parametrize("change", ["DELETE FROM {0}", "UPDATE {0} SET {1} = {1}"])
def test_what_was_learned_can_not_be_changed(
    night: sa.Engine, table: str, column: str, change: str
) -> None:
    store(night, a_fit())
    statement = change.format(f"calibration.{table}", column)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), night.begin() as connection:
        connection.execute(sa.text(statement))
