"""Tests of encoded rows: a loop over cells, JSON, and cells that are refused."""

import json

import numpy as np
import pytest

from jaxdl.data import Column, Dataset, Preprocessing, columns, encode_rows
from jaxdl.data.columns import MOST_VALUES, column_of, columns_from_json, is_number
from jaxdl.errors import InputError

COLUMNS = (Column("age"), Column("color", ("blue", "green", "red")), Column("size"))


def place(i):
    return f"row {i}"


def random_rows(count, seed=0):
    random = np.random.RandomState(seed)
    colors = ["red", "green", "blue"]
    return [
        {"age": random.normal(), "color": colors[random.randint(3)], "size": random.randint(9)}
        for _ in range(count)
    ]


def test_rows_are_encoded_cell_by_cell():
    rows = random_rows(30)
    expected = [
        [row["age"], *(float(row["color"] == color) for color in COLUMNS[1].values), row["size"]]
        for row in rows
    ]
    texts = [{name: f" {cell} " for name, cell in row.items()} for row in rows]
    for given in (rows, texts, [{**row, "other": "x"} for row in rows]):
        encoded = encode_rows(COLUMNS, given)
        assert encoded.dtype == np.float32
        np.testing.assert_array_equal(encoded, np.array(expected, np.float32))


def test_columns_survive_json_in_the_preprocessing_of_a_set():
    data = Dataset({"input": encode_rows(COLUMNS, random_rows(4))}, "mine", columns=COLUMNS)
    stored = json.loads(json.dumps(data.preprocessing.to_json()))
    assert Preprocessing.from_json(stored).columns == COLUMNS
    assert data.take(np.arange(2)).columns == COLUMNS
    # A file of an earlier version has none.
    del stored["columns"]
    assert Preprocessing.from_json(stored).columns is None


@pytest.mark.parametrize(
    "stored",
    [
        [],
        {},
        "ab",
        [1],
        [{"name": "a"}],
        [{"name": 1, "values": None}],
        [{"name": "a", "values": "xy"}],
        [{"name": "a", "values": []}],
        [{"name": "a", "values": [1]}],
        [{"name": "a", "values": ["x", "x"]}],
    ],
    ids=str,
)
def test_other_contents_are_refused(stored):
    with pytest.raises(InputError, match="^columns: got 'other contents', allowed: "):
        columns_from_json(stored)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": ""}, "row 2, column 'age': got '', allowed: a value; remove the row"),
        ({"age": None}, "row 2, column 'age': got ''"),
        ({"age": np.nan}, "row 2, column 'age': got ''"),
        ({"color": " "}, "row 2, column 'color': got ''"),
        ({"age": "old"}, "row 2, column 'age': got 'old', allowed: a number, as in other rows"),
        ({"age": "nan"}, "row 2, column 'age': got 'nan', allowed: a number"),
        ({"age": "1e39"}, "row 2, column 'age': got '1e39', allowed: a number that fits into"),
        ({"age": "1,5"}, "row 2, column 'age': got '1,5', allowed: a number with a decimal point"),
        ({"color": "pink"}, "row 2, column 'color': got 'pink', allowed: blue, green, red"),
    ],
    ids=str,
)
def test_a_bad_cell_is_named_by_row_and_column(change, message):
    rows = random_rows(4)
    rows[2] = {**rows[2], **change}
    with pytest.raises(InputError) as caught:
        encode_rows(COLUMNS, rows)
    assert str(caught.value).startswith(message)


def test_rows_are_dictionaries():
    with pytest.raises(InputError, match="^row 1: got <class 'list'>, allowed: a dictionary"):
        encode_rows(COLUMNS, [random_rows(1)[0], [1, 2, 3]])


def test_a_column_is_of_numbers_or_of_categories():
    assert column_of("a", ["1", "-2.5", "3e2"], place) == Column("a")
    assert column_of("a", ["b", "1", "a", "b"], place) == Column("a", ("1", "a", "b"))
    with pytest.raises(InputError, match="^row 3, column 'a': got 'x', allowed: a number, as in"):
        column_of("a", ["1", "2", "3", "x"], place)
    with pytest.raises(InputError, match="^row 1, column 'a': got ''"):
        column_of("a", ["x", "", "y"], place)
    many = [f"name {i}" for i in range(MOST_VALUES + 1)]
    assert column_of("a", many[1:], place).width == MOST_VALUES
    with pytest.raises(
        InputError, match=f"got '{len(many)} different texts', allowed: numbers, or"
    ):
        column_of("a", many, place)
    with pytest.raises(InputError, match="or write numbers with a decimal point"):
        column_of("a", [f"{i},5" for i in range(MOST_VALUES + 1)], place)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in ("0", "-1", "+1.", ".5", "1e5", "1.5E-3", "007")),
        *((text, False) for text in ("", "nan", "inf", "1_0", "0x1", "1 2", "٣", ".", "1e999")),
    ],
)
def test_numbers_are_decimal(text, expected):
    assert is_number(text) == expected


@pytest.mark.parametrize("seed", range(20))
def test_all_numbers_are_those_that_are_numbers_one_by_one(seed):
    random = np.random.RandomState(seed)
    texts = [
        "".join(random.choice(list("0123456789eE+-._n "), random.randint(1, 6))) for _ in range(99)
    ]
    texts = [text.strip() or "1" for text in texts]
    good = [text for text in texts if is_number(text)]
    expected = np.array([float(text) for text in good])
    np.testing.assert_array_equal(columns._parsed(good), expected)
    for text in set(texts) - set(good):
        assert columns._parsed([*good[:2], text]) is None
