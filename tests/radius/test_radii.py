import numpy as np
import pytest

from overtop.errors import OvertopError
from overtop.radius.compute import compute_radii
from overtop.radius.radii import Radii, read_radii, write_radii
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource
from overtop.terms import DIRECTIONS

FIELDS = {
    "published": {"exact", "certified", "top1", "linear", "walk"},
    "corrected": {"exact", "certified", "top1"},
}


def random_radii(dims):
    rng = np.random.default_rng(14)
    images, texts = (ArraySource([rng.normal(size=(n, dim)) for dim in dims]) for n in (8, 12))
    return compute_radii(images, texts, rank(images, texts, top=12), device="cpu")


@pytest.mark.parametrize("dims", [(4, 4), (4, 6)])
def test_radii_are_read_as_they_were_written(dims, tmp_path):
    written = random_radii(dims)
    write_radii(tmp_path / "a.h5", written, {"step": 0.025})
    read, attributes = read_radii(tmp_path / "a.h5")
    assert attributes == {"step": 0.025}
    for direction in DIRECTIONS:
        assert isinstance(read[direction], Radii)
        assert (read[direction].published is None) == (dims == (4, 6))
        for protocol, names in FIELDS.items():
            expected = getattr(written[direction], protocol)
            if expected is not None:
                assert set(vars(getattr(read[direction], protocol))) == set(vars(expected)) == names
                for name in names:
                    values = getattr(getattr(read[direction], protocol), name)
                    np.testing.assert_array_equal(values, getattr(expected, name))
                    assert values.dtype == getattr(expected, name).dtype


def test_same_radii_are_written_with_the_same_bytes(tmp_path):
    radii = random_radii((4, 4))
    for name in "ab":
        write_radii(tmp_path / f"{name}.h5", radii, {"step": 0.025})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_truncated_radii_are_rejected(tmp_path):
    path = tmp_path / "a.h5"
    write_radii(path, random_radii((4, 4)), {})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(OvertopError, match=r"a\.h5"):
        read_radii(path)


def test_published_radius_of_different_dimensions_is_an_error():
    radii = random_radii((4, 6))["t2i"]
    assert radii.published is None
    assert radii.under("corrected") is radii.corrected
    with pytest.raises(OvertopError, match="differ in dimension"):
        radii.under("published")
