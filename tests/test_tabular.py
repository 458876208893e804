"""Tables: rows as a model takes them and back, and explanations as tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaicore.errors import InvalidArgument, UnreadableInput
from xaicore.explanation import Explanation
from xaicore.tabular import Column, Columns, changes, read_table

COLUMNS = Columns([
    Column("age", low=17, high=90, integer=True),
    Column("hours", mean=40, std=10),
    Column("job", values=["clerk", "driver"]),
    Column("score"),
])  # fmt: skip
ROWS = [
    {"age": "17", "hours": "45.5", "job": "driver", "score": "0.25", "name": "left out"},
    {"age": "90", "hours": "30", "job": "clerk", "score": "-3", "name": "left out"},
]


def test_rows_become_what_the_model_takes():
    np.testing.assert_allclose(COLUMNS.encode(ROWS), [[0, 0.55, 0, 1, 0.25], [1, -1, 1, 0, -3]], rtol=1e-6)
    assert COLUMNS.names == ("age", "hours", "job=clerk", "job=driver", "score")
    assert COLUMNS.categories == (("job=clerk", "job=driver"),)
    assert COLUMNS.integers == {"age": 1 / 73}
    assert [str(column) for column in COLUMNS.columns] == [
        "age 17..90 to 0..1",
        "hours minus 40 over 10",
        "job one of 2",
        "score",
    ]


def test_and_back():
    assert COLUMNS.decode(COLUMNS.encode(ROWS)) == [
        {"age": 17.0, "hours": 45.5, "job": "driver", "score": 0.25},
        {"age": 90.0, "hours": 30.0, "job": "clerk", "score": -3.0},
    ]


@given(st.integers(17, 90), st.integers(0, 99), st.sampled_from(["clerk", "driver"]), st.integers(-5, 5))
def test_whole_numbers_come_back_whole(age, hours, job, score):
    row = {"age": age, "hours": hours, "job": job, "score": score}
    assert COLUMNS.decode(COLUMNS.encode([row])) == [row]


@pytest.mark.parametrize(
    "described",
    [
        {"name": "a", "low": 0},
        {"name": "a", "low": 0, "high": 0},
        {"name": "a", "low": 1, "high": 0},
        {"name": "a", "low": 0, "high": 1, "mean": 0, "std": 1},
        {"name": "a", "mean": 0, "std": 0},
        {"name": "a", "values": ["x", "y"], "low": 0, "high": 1},
        {"name": "a", "values": ["x"]},
        {"name": "a", "values": ["x", "x"]},
        {"name": "a", "values": "xy"},
        {"name": "a", "low": "0", "high": 1},
        {"name": "a", "low": float("nan"), "high": 1},
        {"name": "a", "shift": 3},
        {"name": "a", "minimum": 1, "maximum": 0},
        {"name": "a", "values": ["x", "y"], "minimum": 0},
        {"low": 0, "high": 1},
        {"name": ""},
        "a",
    ],
)
def test_columns_that_are_none(described):
    with pytest.raises(InvalidArgument):
        Columns.of([described])


def test_columns_are_written_as_they_are_read():
    columns = Columns([*COLUMNS.columns, Column("years", minimum=0, maximum=40, integer=True)])
    assert columns.described[0] == {"name": "age", "low": 17.0, "high": 90.0, "integer": True}
    assert columns.described[2:4] == [{"name": "job", "values": ["clerk", "driver"]}, {"name": "score"}]
    assert Columns.of(columns.described) == columns


def test_bounds_are_those_of_the_table_in_the_model_s_units():
    """(0 - 40) / 10 = -4, (80 - 40) / 10 = 4; a category's columns are 0 to 1; what has no end is infinite."""
    columns = Columns(
        [Column("hours", mean=40, std=10, minimum=0, maximum=80), Column("job", values=["a", "b"]), Column("x")]
    )
    assert COLUMNS.bounds is None
    low, high = columns.bounds
    np.testing.assert_array_equal(low, [-4, 0, 0, -np.inf])
    np.testing.assert_array_equal(high, [4, 1, 1, np.inf])


def test_zero_has_no_sign():
    assert str(Columns([Column("x", mean=1, std=3)]).decode(np.float32([[-1 / 3 - 1e-8]]))[0]["x"]) == "0.0"


def test_a_category_without_a_value_is_none_of_them():
    """It is no change to the first of its values, and it is a change from it."""
    x = COLUMNS.encode(ROWS)
    without = x.copy()
    without[:, 2:4] = 0
    found = changes(COLUMNS.decode(x), COLUMNS.decode(without))
    assert [(row["before"], row["after"]) for row in found] == [("driver", None), ("clerk", None)]


def test_numbers_are_not_read_as_python_writes_them():
    with pytest.raises(UnreadableInput, match="'1_7' in the column 'age'"):
        COLUMNS.encode([ROWS[0] | {"age": "1_7"}])


def test_a_number_that_is_not_whole_is_none_of_a_whole_column():
    with pytest.raises(UnreadableInput, match=r"Row 7 has '17.5' in the column 'age'; expected a whole number"):
        COLUMNS.encode([ROWS[0] | {"age": "17.5"}], first=7)


def test_columns_have_names_of_their_own():
    with pytest.raises(InvalidArgument, match="names of their own"):
        Columns([Column("a"), Column("a")])
    with pytest.raises(InvalidArgument, match="at least one"):
        Columns([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": "old"}, "Row 0 has 'old' in the column 'age'; expected a finite number"),
        ({"age": "inf"}, "finite number"),
        ({"age": None}, "finite number"),
        ({"job": "pilot"}, "'pilot' in the column 'job'; expected one of clerk, driver"),
    ],
)
def test_values_that_are_none(change, message):
    with pytest.raises(UnreadableInput, match=message):
        COLUMNS.encode([{**ROWS[0], **change}])


def test_a_column_that_is_not_there():
    with pytest.raises(UnreadableInput, match="no column 'hours'"):
        COLUMNS.encode([{"age": 3, "job": "clerk"}])


def test_tables_from_files(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('age, job\n17, "clerk"\n90,driver\n')
    assert read_table(path) == [{"age": "17", "job": "clerk"}, {"age": "90", "job": "driver"}]
    for text, message in (("age,job\n", "no rows"), ("a,b\n1\n", "Row 0"), ("a,b\n1,2\n1,2,3\n", "Row 1")):
        path.write_text(text)
        with pytest.raises(UnreadableInput, match=message):
            read_table(path)
    with pytest.raises(UnreadableInput, match="Cannot read"):
        read_table(tmp_path / "absent.csv")


def test_changes_are_what_differs_beyond_six_digits():
    before = [{"age": 39.0, "job": "clerk"}, {"age": 1.0, "job": "clerk"}]
    after = [{"age": 39.0000001, "job": "driver"}, {"age": 2.0, "job": "clerk"}]
    assert changes(before, after) == [
        {"sample": 0, "feature": "job", "before": "clerk", "after": "driver"},
        {"sample": 1, "feature": "age", "before": 1.0, "after": 2.0},
    ]


def counterfactuals(several=False):
    before = COLUMNS.encode(ROWS)
    after = before.copy()
    after[0, :4] = [0.5, 0.55, 1, 0]
    found = np.stack([after, before], axis=1) if several else after
    return Explanation(after - before, np.zeros(2), ids=np.array([7, 8]), extras={"counterfactuals": found})


def test_counterfactuals_as_a_table():
    pytest.importorskip("pandas")
    frame = counterfactuals().to_frame(COLUMNS)
    assert frame.to_dict("records") == [
        {"sample": 7, "feature": "age", "before": 17.0, "after": 53.5, "valid": True},
        {"sample": 7, "feature": "job", "before": "driver", "after": "clerk", "valid": True},
    ]
    plain = counterfactuals().to_frame(["a", "b", "c", "d", "e"])
    assert plain["feature"].tolist() == ["a", "c", "d"]
    assert plain["after"].tolist() == [0.5, 1.0, 0.0]
    assert counterfactuals(several=True).to_frame()["counterfactual"].tolist() == [0, 0, 0]


def test_tables_say_what_is_valid_and_start_from_the_samples():
    """Changes that are counted from somewhere else, a baseline, leave what was before alone."""
    pytest.importorskip("pandas")
    found = counterfactuals()
    extras = dict(found.extras) | {"valid": np.array([False, True]), "originals": COLUMNS.encode(ROWS)}
    frame = Explanation(found["counterfactuals"], np.zeros(2), extras=extras).to_frame(COLUMNS)
    assert frame["valid"].tolist() == [False, False]
    assert frame["before"].tolist() == [17.0, "driver"]


def test_whole_numbers_of_any_size_come_back_and_change():
    """float32 tells 1234567 from 1234568; a sixth digit is not all."""
    wide = Columns([Column("income", low=0, high=2_000_000, integer=True)])
    rows = [{"income": 1_234_567}, {"income": 1_234_568}]
    before, after = wide.decode(wide.encode(rows))
    assert before == rows[0]
    assert after == rows[1]
    assert len(changes([before], [after])) == 1


def test_tables_of_another_width_or_kind():
    with pytest.raises(InvalidArgument, match=r"expected \(batch, 5\)"):
        COLUMNS.decode(np.zeros((2, 4)))
    with pytest.raises(InvalidArgument, match="to_dict"):
        COLUMNS.encode({"age": [17]})
    frames = pytest.importorskip("pandas")
    with pytest.raises(InvalidArgument, match="DataFrame"):
        COLUMNS.encode(frames.DataFrame(ROWS))


def test_columns_of_one_name_in_a_file(tmp_path):
    (tmp_path / "rows.csv").write_text("age,job,age\n1,clerk,2\n")
    with pytest.raises(UnreadableInput, match="several columns called 'age'"):
        read_table(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("features", "kept"),
    [([0, 2, 3], 1), ([0, 1], 0), (["job"], 1), (["age", 3], 1), (np.array([1, 0, 1, 1, 0], bool), 1), (["age"], 0)],
)
def test_categories_that_may_change_are_told_however_features_are_said(features, kept):
    from xaicore.cli.tables import told
    from xaicore.registry import get_analyzer

    pytest.importorskip("xaicore_cf")
    assert len(told(get_analyzer("cf", features=features), COLUMNS).categories) == kept


def test_the_file_of_changes_says_all():
    """A row for each change, one for each counterfactual without any, and whether it is valid."""
    from xaicore.cli.tables import as_csv, changed

    found = counterfactuals()
    extras = dict(found.extras) | {"valid": np.array([True, False]), "already": np.array([False, False])}
    text = b"".join(as_csv(changed(Explanation(found.attributions, np.zeros(2), extras=extras), COLUMNS))).decode()
    assert text.splitlines() == [
        "sample,counterfactual,valid,already,feature,before,after",
        "0,0,True,False,age,17.0,53.5",
        "0,0,True,False,job,driver,clerk",
        "1,0,False,False,,,",
    ]


def test_attributions_as_a_table():
    pytest.importorskip("pandas")
    explanation = Explanation(np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros(2))
    frame = explanation.to_frame(["a", "b"])
    assert frame["attribution"].tolist() == [1, 2, 3, 4]
    assert frame["feature"].tolist() == ["a", "b", "a", "b"]
    for names in (["a"], "ab"):
        with pytest.raises(InvalidArgument, match="expected one for each"):
            explanation.to_frame(names)
    with pytest.raises(InvalidArgument, match="2 inputs"):
        Explanation([np.ones((2, 3)), np.ones((2, 3))], np.zeros(2)).to_frame()
