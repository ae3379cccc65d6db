import pytest

from bench import large_gallery


@pytest.mark.slow
def test_large_gallery_of_3000_items_is_searched_alike_by_all_methods():
    table = large_gallery.compare_methods(3000).set_index("method")
    assert table.index.tolist() == list(large_gallery.METHODS)
    assert (table["queries"] == large_gallery.QUERIES).all()
    assert table.loc["flat", ["top1_agreement", "radius_agreement"]].min() == 1.0
    assert table.loc["hnsw", "top1_agreement"] > 0.9
    assert table["peak_mb"].max() < 4096
    assert 0 < table.loc["stream", "certified"] <= 1
