import pytest

from helpers.pipeline import read_committed_config
from overtop.errors import OvertopError
from overtop.pipeline.loading import load_config

PGD = {"kind": "pgd", "epsilon": 1}


@pytest.mark.parametrize(
    ("attacks", "message"),
    [
        ({"aa": {"kind": "worst", "of": ["pdg"]}}, r"attacks\.aa\.of: no attack 'pdg'; did you mean 'pgd'\?"),
        (
            {"aa": {"kind": "worst", "of": ["pgd"]}, "bb": {"kind": "worst", "of": ["aa"]}},
            r"attacks\.bb\.of: 'aa' is a worst case itself; list its attacks: pgd",
        ),
        ({"aa": {"kind": "worst", "of": ["pgd", "pgd"]}}, r"attacks\.aa\.of: 'pgd' is listed 2 times"),
        ({"aa": {"kind": "worst", "of": ["aa"]}}, r"attacks\.aa\.of: 'aa' is a worst case itself"),
        ({"x": {"kind": "pgd", "epsilon": 0}}, r"attacks\.x\.epsilon: .*greater than 0"),
        ({"x": {"kind": "apgd-t", "epsilon": 1, "steps": 0}}, r"attacks\.x\.steps: .*at least"),
    ],
)
def test_mistake_in_attacks_is_reported_with_key_and_fix(repo, attacks, message):
    values = read_committed_config(repo)
    values["attacks"] = {**values.get("attacks", {}), "pgd": PGD, **attacks}
    with pytest.raises(OvertopError, match=message):
        load_config(values)


def test_worst_case_over_other_attacks_is_accepted(repo):
    values = read_committed_config(repo)
    mine = {"pgd": PGD, "cw": {"kind": "cw", "epsilon": 1}, "aa": {"kind": "worst", "of": ["pgd", "cw"]}}
    values["attacks"] = {**values.get("attacks", {}), **mine}
    assert load_config(values).attacks["aa"].of == ["pgd", "cw"]
