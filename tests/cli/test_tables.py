import pandas as pd
import pytest

from overtop.cli.tables import read_text_columns
from overtop.errors import OvertopError


@pytest.fixture
def write(tmp_path):
    """Write a text file and return its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_text_table_has_values_without_white_space(write, suffix, separator):
    path = write(f"t{suffix}", "\ufeffquery , relevant,note\n 1, a b ,x\n2,,y\nNA,c,z\n".replace(",", separator))
    table = read_text_columns(path, ["query", "relevant"])
    assert table.to_dict("list") == {"query": ["1", "2", "NA"], "relevant": ["a b", "", "c"]}


def test_optional_column_is_returned_if_present(write):
    path = write("t.csv", "text,id\na,1\n")
    assert list(read_text_columns(path, ["text"], ["id"])) == ["text", "id"]
    assert list(read_text_columns(path, ["text"], ["other"])) == ["text"]


def test_whole_numbers_beside_missing_values_stay_whole(tmp_path):
    frame = pd.DataFrame({"query": [3, 4], "relevant": [12.0, None]})
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    for name in ("t.parquet", "t.csv"):
        assert read_text_columns(tmp_path / name, ["query", "relevant"]).values.tolist() == [["3", "12"], ["4", ""]]


def test_names_that_look_like_decimals_are_kept(write):
    table = read_text_columns(write("t.csv", "query\n1.0\nfile-2.0.png\n"), ["query"])
    assert table["query"].tolist() == ["1.0", "file-2.0.png"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "query,relevnt\n1,2\n", "no column 'relevant'; did you mean 'relevnt'"),
        ("t.csv", "query,relevant\n", "has no rows"),
        ("t.csv", "", "cannot be read as a table"),
        ("t.csv", b"query,relevant\n\xff\xfe,2\n", "cannot be read as a table"),
        ("t.parquet", "query,relevant\n1,2\n", "cannot be read as a table"),
        ("t.xlsx", "", "not a table; give one that ends in .csv, .tsv, .parquet"),
    ],
)
def test_file_that_is_no_such_table_is_rejected_in_one_line(write, name, content, message):
    with pytest.raises(OvertopError, match=message) as error:
        read_text_columns(write(name, content), ["query", "relevant"])
    assert "\n" not in str(error.value)


def test_missing_table_is_rejected(tmp_path):
    with pytest.raises(OvertopError, match=r"none.csv: no such file"):
        read_text_columns(tmp_path / "none.csv", ["query"])
