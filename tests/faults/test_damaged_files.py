"""A flipped byte or a lost end of a file is named by what reads it, or changes nothing that is read."""

import pytest

from helpers.damage import read_damaged
from helpers.damageable_files import KINDS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("flips", "cuts"), [(12, 4), pytest.param(150, 40, marks=pytest.mark.faults)], ids=["few", "many"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_file_is_named_or_read_as_it_was(tmp_path, record_fault, kind, flips, cuts):
    what = KINDS[kind]
    what.make(tmp_path)
    path = tmp_path / what.file
    named = tmp_path / (what.named or what.file)
    for fault, numbers in (("byte flipped", (flips, 0)), ("end lost", (0, cuts))):
        outcomes, others = read_damaged(path, lambda: what.read(tmp_path), named, *numbers, seed=flips)
        survived = outcomes["named"] + outcomes["same"]
        assert not others, "\n".join(others[:5])
        record_fault(f"{fault}: {kind}", tries=sum(numbers), named=survived, silent=outcomes["silent"])


def test_silent_damage_is_noticed(tmp_path):
    """A kind of file without a digest."""
    path = tmp_path / "a.txt"
    path.write_text("0123456789")
    outcomes, others = read_damaged(path, path.read_bytes, path, flips=5, cuts=5, seed=0)
    assert (outcomes["silent"], others) == (10, [])
