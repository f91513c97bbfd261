"""The cold-start list of a real night, as it is shown and as engines read it."""

import sqlalchemy as sa

from calibration_pipeline.store.cold_start import newest_cold_start_night, read_cold_start
from calibration_pipeline_tests.programme import LAST, Programme


def test_every_night_plans_its_new_items(calibrated: Programme) -> None:
    items = read_cold_start(calibrated.engine, LAST)
    assert newest_cold_start_night(calibrated.engine) == LAST
    state = calibrated.state(LAST)
    anchors = {key for j, key in enumerate(state.keys) if state.is_anchor[j]}
    assert items
    assert not anchors & {item.key for item in items}
    assert all(item.difficulty_se > 0.3 for item in items)
    shown = calibrated.materializations("cold_start")[LAST.isoformat()]
    assert shown["dagster/row_count"] == len(items)
    assert shown["answers needed in all"] == sum(item.answers_needed or 0 for item in items)


def test_engines_read_the_list_of_the_version_in_force(calibrated: Programme) -> None:
    view = "SELECT version, item_id, answers_needed, shares FROM calibration.current_cold_start"
    with calibrated.engine.connect() as connection:
        rows = connection.execute(sa.text(f"{view} ORDER BY item_id")).all()
    items = read_cold_start(calibrated.engine, LAST)
    assert [row.item_id for row in rows] == [item.key[0] for item in items]
    assert {row.version for row in rows} == {calibrated.store().current_version()}
    assert [row.answers_needed for row in rows] == [item.answers_needed for item in items]
    assert all(abs(sum(row.shares) - 1.0) < 0.01 for row in rows)
