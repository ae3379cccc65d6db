"""Tables of extended positives alone, of data sets that have none."""

import pytest

from helpers.pipeline import read_committed_config
from overtop.errors import OvertopError
from overtop.pipeline.loading import load_config
from overtop.pipeline.source_checks import check_sources

TARGET = "results/tables/mine.csv"


@pytest.fixture
def check(repo, tmp_path):
    """A function that checks a table of a data set with these columns, or of another data set."""

    def run(columns, dataset="mine", positives=("extended",)):
        (tmp_path / "captions.csv").write_text(f"{columns}\n{','.join('a' for _ in columns.split(','))}\n")
        values = read_committed_config(repo)
        values["datasets"]["mine"] = {"kind": "table", "source": str(tmp_path)}
        values["tables"]["mine"] = {"datasets": [dataset], "posteriors": ["shapes"], "positives": list(positives)}
        check_sources(load_config(values), {(dataset, "test"): TARGET})

    return run


def test_table_without_the_column_is_found_before_any_job(check):
    message = (
        r"tables\.mine\.positives: data set 'mine' has no extended positives; add `labelled` \(needed for " + TARGET
    )
    with pytest.raises(OvertopError, match=message):
        check("image,caption")


@pytest.mark.parametrize(
    "arguments",
    [("image,caption,positives",), ("image,caption", "shapes"), ("image,caption", "mine", ("labelled", "extended"))],
)
def test_data_set_that_may_have_some_or_a_table_of_both_is_accepted(check, arguments):
    check(*arguments)
