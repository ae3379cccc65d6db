import numpy as np
import pytest

from overtop.adapters.spread import Spread, read_spread, write_spread
from overtop.errors import OvertopError
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource

RNG = np.random.default_rng(0)
SPREADS = {
    "t2i": Spread(["c0", "c1", "é"], {p: RNG.random(3) for p in ("published", "corrected")}),
    "i2t": Spread(["i0", "i1"], {p: RNG.random(2) for p in ("published", "corrected")}),
}


def test_written_spread_reads_back_equal_with_reproducible_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_spread(tmp_path / name, SPREADS, {"adapter": "a"})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    read, attributes = read_spread(tmp_path / "a.h5")
    assert attributes == {"adapter": "a"}
    for direction, spread in SPREADS.items():
        assert read[direction].query_ids == spread.query_ids
        assert read[direction].variance.keys() == spread.variance.keys()
        for protocol, variance in spread.variance.items():
            np.testing.assert_array_equal(read[direction].variance[protocol], variance)
            assert read[direction].variance[protocol].dtype == np.float64


def test_truncated_file_is_refused(tmp_path):
    write_spread(tmp_path / "a.h5", SPREADS, {})
    content = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(content[:-100])
    with pytest.raises(OvertopError, match=r"a\.h5: .*; delete it and run the same command again"):
        read_spread(tmp_path / "a.h5")


def test_ranking_of_other_queries_or_another_order_is_refused():
    images, texts = (ArraySource([RNG.normal(size=(len(ids), 4))], ids) for ids in (["i0", "i1"], ["c0", "c1", "é"]))
    rankings = rank(images, texts, 10)
    for direction, spread in SPREADS.items():
        assert spread.variance_for(rankings[direction]) is spread.variance
    with pytest.raises(OvertopError, match="different queries"):
        SPREADS["i2t"].variance_for(rankings["t2i"])
    with pytest.raises(OvertopError, match="another order"):
        Spread(["c1", "c0", "é"], {}).variance_for(rankings["t2i"])


def test_queries_of_a_sample_have_their_variances():
    images, texts = (ArraySource([RNG.normal(size=(len(ids), 4))], ids) for ids in (["i0"], ["c0", "é"]))
    ranking = rank(images, texts, 10)["t2i"]
    variance = SPREADS["t2i"].variance_for(ranking)
    assert variance.keys() == SPREADS["t2i"].variance.keys()
    for protocol, values in SPREADS["t2i"].variance.items():
        assert variance[protocol].tolist() == values[[0, 2]].tolist()
