"""Tests of tables: written by Python's csv module, read as arrays; and tables that are refused."""

import csv
import gzip
import io

import numpy as np
import pytest

from jaxdl.data import check_classification, encode_rows, load, standardize, tables
from jaxdl.errors import InputError

COLORS = ("blue", "green", "red")


def random_rows(count=40, seed=0):
    """Returns rows with a number, a category with separators, and targets of each kind."""
    random = np.random.RandomState(seed)
    return [
        {
            "age": round(random.normal(), 3),
            "color": COLORS[random.randint(3)],
            "note": ["a, b", 'the "c"; d', "e\tf"][i % 3],
            "kind": ["dog", "cat"][i % 2],
            "stars": 10 - i % 4,
            "price": round(random.normal(), 3),
        }
        for i in range(count)
    ]


def text_of(rows, **options):
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="pets.csv"):
        content = text if isinstance(text, bytes) else text.encode()
        if name.endswith(".gz"):
            content = gzip.compress(content)
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write_file


def together(sets, field):
    return np.concatenate([np.asarray(data[field]) for data in sets])


def sorted_rows(array):
    return np.array(sorted(array.tolist()))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["pets.csv", "pets.TSV", "pets.csv.gz"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_form_of_the_file_gives_the_same_set(delimiter, name, start, end, write):
    rows = random_rows()
    text = start + text_of(rows, delimiter=delimiter, lineterminator=end)
    train, test = load(f"{write(text, name)}:kind")
    check_classification(train)
    assert (len(train), len(test), train.name) == (32, 8, "pets")
    assert train.class_names == ("cat", "dog")
    assert [column.name for column in train.columns] == ["age", "color", "note", "stars", "price"]
    expected = [
        [
            row["age"],
            *(row["color"] == color for color in COLORS),
            *(row["note"] == note for note in sorted({each["note"] for each in rows})),
            row["stars"],
            row["price"],
            row["kind"] == "dog",
        ]
        for row in rows
    ]
    sets = (train, test)
    got = np.concatenate([together(sets, "input"), together(sets, "label")[:, None]], 1)
    np.testing.assert_array_equal(sorted_rows(got), sorted_rows(np.array(expected, np.float32)))


def test_the_same_rows_become_the_same_inputs_later(write):
    rows = random_rows()
    sets = standardize(*load(f"{write(text_of(rows))}:kind"))
    preprocessing = sets[0].preprocessing
    inputs = preprocessing(encode_rows(preprocessing.columns, rows))
    got = together(sets, "input")
    np.testing.assert_array_equal(sorted_rows(inputs), sorted_rows(got))


def test_integers_are_classes_in_their_order(write):
    rows = random_rows()
    train, test = load(f"{write(text_of(rows))}:stars")
    assert train.class_names == ("7", "8", "9", "10")
    assert np.bincount(test["label"]).tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("column", ["price", "stars"])
def test_real_numbers_are_a_regression(column, write):
    """Integers are real numbers if they have a decimal point."""
    rows = [{**row, "stars": f"{row['stars']}.0"} for row in random_rows()]
    train, test = load(f"{write(text_of(rows))}:{column}")
    assert (train.classes, train["target"].shape, test["target"].dtype) == (
        None,
        (32, 1),
        np.float32,
    )
    expected = np.array([float(row[column]) for row in rows], np.float32)
    got = together((train, test), "target")[:, 0]
    np.testing.assert_array_equal(np.sort(got), np.sort(expected))


def test_several_columns_of_numbers_are_predicted_together(write):
    rows = random_rows()
    train, test = load(f"{write(text_of(rows))}:price,stars")
    expected = np.array([[row["price"], row["stars"]] for row in rows], np.float32)
    got = together((train, test), "target")
    np.testing.assert_array_equal(sorted_rows(got), sorted_rows(expected))
    assert [column.name for column in train.columns] == ["age", "color", "note", "kind"]
    for wrong in ("price,kind", "price,rent", "price,price"):
        with pytest.raises(InputError, match="allowed: a (number, as|column of the table)"):
            load(f"{write(text_of(rows))}:{wrong}")
    with pytest.raises(InputError, match="allowed: at least one column that is not predicted"):
        load(f"{write(ROWS.replace('label', 'z').replace('a', '1').replace('b', '2'))}:x,y,z")


@pytest.mark.parametrize("name", ["label", "Label", "CLASS", "target"])
def test_a_target_is_found_by_its_name(name, write):
    rows = [{"x": i, name: "ab"[i % 2]} for i in range(10)]
    train, _ = load(write(text_of(rows)))
    assert (train.class_names, train["input"].shape) == (("a", "b"), (8, 1))


ROWS = "x,y,label\n1,2,a\n3,4,b\n5,6,a\n7,8,b\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "pets.csv, line 1: got [], allowed: names of two or more columns, divided by commas"),
        ("x\n1\n2\n", "pets.csv, line 1: got ['x'], allowed: names of two or more columns"),
        (ROWS[10:], "pets.csv, line 1: got ['1', '2', 'a'], allowed: a line with the names of the"),
        (",x,label\n0,1,a\n", "allowed: a name for each column; pandas writes no index with"),
        (
            "x,x,label\n0,1,a\n",
            "pets.csv, line 1: got 'x', allowed: different names of the columns",
        ),
        ("x,y\n1,2\n3,4\n", "with the columns x, y', allowed: one column label, class, target; or"),
        ("label,target,x\n1,2,3\n1,2,3\n", "allowed: one column label, class, target; or its name"),
        ("x,label\n1,a\n", "pets.csv: got '1 rows', allowed: at least 2 below the names"),
        (ROWS + "9,b\n", "pets.csv, line 6: got '2 cells', allowed: 3, one for each column of the"),
        (
            ROWS + "\n9,,a\n",
            "pets.csv, line 7, column 'y': got '', allowed: a value; remove the row",
        ),
        (ROWS + "9,2,\n", "pets.csv, line 6, column 'label': got '', allowed: a value; remove"),
        (ROWS + "9,?,a\n", "pets.csv, line 6, column 'y': got '?', allowed: a number, as in other"),
        (ROWS + "9,NaN,a\n", "pets.csv, line 6, column 'y': got 'NaN', allowed: a number"),
        (
            ROWS + '"9\n",1e39,a\n',
            "pets.csv, line 7, column 'y': got '1e39', allowed: a number that",
        ),
        (ROWS + '"9,2,a\n', "pets.csv, line 6: got 'unexpected end of data', allowed: cells with"),
        (ROWS + '"9"9,2,a\n', "allowed: cells with closed quotation marks"),
        (
            ROWS.encode() + b"9,2,\xe4\n",
            f"pets.csv, byte {len(ROWS) + 4}: got '0xe4', allowed: UTF-8",
        ),
        (ROWS.encode("utf-16"), "pets.csv, byte 0: got '0xff', allowed: UTF-8"),
        (
            ROWS.replace(",b", ",a"),
            "column 'label': got '1 different values in 4 rows', allowed: two",
        ),
        (
            "x,label\n" + "".join(f"{i},{i}\n" for i in range(20)),
            "column 'label': got '20 different values in 20 rows', allowed: two or more classes, "
            "each in several rows; for a regression numbers with a decimal point, such as 3.0",
        ),
        (
            "x,target\n1,1.5\n2,2\n3,2,5\n",
            "pets.csv, line 4: got '3 cells', allowed: 2, one for each column of the first line",
        ),
        (
            "x;target\n1;1.5\n2;2\n3;2,5\n",
            "pets.csv, line 4, column 'target': got '2,5', allowed: a number with a decimal point",
        ),
    ],
)
def test_other_tables_are_refused_in_one_line(text, message, write, tmp_path, monkeypatch):
    write(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        load("pets.csv")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_column_and_a_missing_file_are_refused(write):
    path = write(ROWS)
    with pytest.raises(
        InputError, match="pets.csv:z', allowed: a column of the table: x, y, label"
    ):
        load(f"{path}:z")
    with pytest.raises(InputError, match="allowed: a file that exists"):
        load("nowhere.csv:x")


def test_a_bomb_and_a_huge_table_are_refused(write, tmp_path, monkeypatch):
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(bytes(2**24)) * 4)
    with pytest.raises(InputError, match="More than"):
        load(path)
    monkeypatch.setattr(tables, "MAX_TABLE", 10)
    with pytest.raises(InputError, match="allowed: at most 10; write the numbers into a .npz file"):
        load(write(ROWS))


@pytest.mark.parametrize("seed", range(30))
def test_damaged_tables_give_a_set_or_one_line(seed, write):
    random = np.random.RandomState(seed)
    content = np.frombuffer(text_of(random_rows(10)).encode(), np.uint8).copy()
    content[random.randint(0, len(content), 3)] = random.choice(list(b'\0",;\n\r\t\xff9a'), 3)
    try:
        train, _ = load(f"{write(content.tobytes())}:kind")
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert np.isfinite(train["input"]).all()
