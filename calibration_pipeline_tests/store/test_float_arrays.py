import struct

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.engine import open_engine

TABLE = sa.Table(
    "arrays", sa.MetaData(), sa.Column("n", sa.Integer), sa.Column("x", sa.ARRAY(sa.Double))
)
ODD_NAN = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_BEEF))[0]


@pytest.mark.parametrize(
    "vector",
    [
        np.array([0.1, -0.0, np.inf, 5e-324, ODD_NAN]),
        np.array([]),
        np.arange(12.0).reshape(4, 3)[:, 1],  # not side by side in memory
        np.array([1, 2], dtype=np.float32),
    ],
    ids=["odd values", "empty", "a column", "single precision"],
)
def test_vectors_arrive_as_lists_do_bit_by_bit(database_url, vector):
    engine = open_engine(database_url)
    TABLE.create(engine)
    with engine.begin() as connection:
        copy_rows(connection, TABLE, ("n", "x"), [[0, vector], [1, vector.tolist()]])
        sent = connection.execute(sa.text("SELECT array_send(x) FROM arrays ORDER BY n")).scalars()
        from_vector, from_list = map(bytes, sent)
    engine.dispose()
    assert from_vector == from_list
    values = np.frombuffer(from_vector[20:], np.dtype([("length", ">i4"), ("value", ">f8")]))
    assert values["value"].astype("<f8").tobytes() == vector.astype("<f8").tobytes()


def test_a_list_may_hold_nulls(database_url):
    engine = open_engine(database_url)
    TABLE.create(engine)
    with engine.begin() as connection:
        copy_rows(connection, TABLE, ("n", "x"), [[0, [1.5, None]]])
        assert connection.scalar(sa.select(TABLE.c.x)) == [1.5, None]
    engine.dispose()
