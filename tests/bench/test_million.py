import pytest

from bench import million


@pytest.mark.slow
def test_a_small_gallery():
    table = million.run(3000).set_index("method")
    assert table.index.tolist() == list(million.METHODS)
    assert (table["queries"] == million.QUERIES).all()
    assert table.loc["flat", ["top1_agreement", "radius_agreement"]].min() == 1.0
    assert table.loc["hnsw", "top1_agreement"] > 0.9
    assert table["peak_mb"].max() < 4096
    assert 0 < table.loc["stream", "certified"] <= 1
