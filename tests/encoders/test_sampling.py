import pytest
from hypothesis import given
from hypothesis import strategies as st

from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError


@given(st.integers(1, 999).map(lambda n: n / 1000), st.integers(1, 500))
def test_a_word_reads_back_as_itself(rate: float, passes: int) -> None:
    sampling = Sampling.dropout(rate, passes)
    assert Sampling.parse(str(sampling)) == sampling


def test_the_words_of_paths() -> None:
    assert str(Sampling()) == "deterministic"
    assert str(Sampling.dropout(0.2, 50)) == "dropout-0.2x50"
    assert Sampling.parse("deterministic") == Sampling()
    assert Sampling().is_deterministic
    assert not Sampling.dropout(0.2, 50).is_deterministic


@pytest.mark.parametrize(
    "word", ["dropout", "dropout-0.2", "dropout-1.2x5", "dropout-0.2x0", "dropout-0.0x3", "Deterministic"]
)
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(OvertopError, match="sampling"):
        Sampling.parse(word)


@pytest.mark.parametrize(("rate", "passes"), [(1.0, 5), (-0.1, 5), (0.2, 0), (0.0, 5)])
def test_impossible_samplings_are_refused(rate: float, passes: int) -> None:
    with pytest.raises(OvertopError, match="impossible"):
        Sampling(rate, passes)
