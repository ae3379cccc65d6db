import pytest

from overtop.screen.words import describe_job, describe_seconds


@pytest.mark.parametrize(
    ("rule", "wildcards", "expected"),
    [
        ("rank", {"dataset": "shapes", "split": "test", "posterior": "clip"}, "rank shapes/test, clip"),
        (
            "embed",
            {"dataset": "a", "split": "b", "encoder": "c", "sampling": "dropout-0.2x4", "shard": "0", "shards": "2"},
            "embed a/b, c, dropout-0.2x4, part 1 of 2",
        ),
        ("embed", {"dataset": "a", "split": "b", "encoder": "c", "shard": "0", "shards": "1"}, "embed a/b, c"),
        ("table", {"table": "demo"}, "table demo"),
        ("all", {}, "all"),
    ],
)
def test_job_is_described_by_its_wildcards(rule, wildcards, expected):
    assert describe_job(rule, wildcards) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (8.06, "8.1 s"), (59.4, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (9000, "2 h 30 min")],
)
def test_duration_has_two_units_at_most(seconds, expected):
    assert describe_seconds(seconds) == expected
