import pytest
from hypothesis import given
from hypothesis import strategies as st

from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError


@given(st.integers(1, 999).map(lambda n: n / 1000), st.integers(1, 500), st.integers(0, 500))
def test_name_is_parsed_back_to_the_same_sampling(rate: float, passes: int, first: int) -> None:
    sampling = Sampling(rate, passes, first)
    assert Sampling.parse(str(sampling)) == sampling


def test_names_used_in_paths() -> None:
    assert str(Sampling()) == "deterministic"
    assert str(Sampling.dropout(0.2, 50)) == "dropout-0.2x50"
    assert str(Sampling(0.2, 50, first=50)) == "dropout-0.2x50+50"
    assert Sampling.parse("dropout-0.2x50") == Sampling(0.2, 50, first=0)
    assert Sampling.parse("deterministic") == Sampling()
    assert Sampling().is_deterministic
    assert not Sampling.dropout(0.2, 50).is_deterministic


@pytest.mark.parametrize(
    "name",
    [
        "dropout",
        "dropout-0.2",
        "dropout-1.2x5",
        "dropout-0.2x0",
        "dropout-0.0x3",
        "Deterministic",
        "dropout-0.2x50+",
        "dropout-0.2x50+0",
        "dropout-0.2x50+05",
        "dropout-0.2x50-50",
        "deterministic+1",
    ],
)
def test_other_names_are_rejected(name: str) -> None:
    with pytest.raises(OvertopError, match="sampling"):
        Sampling.parse(name)


@pytest.mark.parametrize(
    ("rate", "passes", "first"), [(1.0, 5, 0), (-0.1, 5, 0), (0.2, 0, 0), (0.0, 5, 0), (0.2, 5, -1), (0.0, 1, 3)]
)
def test_impossible_samplings_are_rejected(rate: float, passes: int, first: int) -> None:
    with pytest.raises(OvertopError, match="impossible"):
        Sampling(rate, passes, first)
