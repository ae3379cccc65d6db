import pytest

from overtop.reference.recalls import find_published_recall


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (("ViT-L-14", "openai", "coco", "t2i", 1), 0.3651),
        (("ViT-L-14", "openai", "coco", "i2t", 10), 0.8660),
        (("ViT-L-14", "openai", "flickr30k", "t2i", 5), 0.8724),
        (("ViT-L-14", "openai", "flickr30k", "i2t", 1), 0.8520),
        (("ViT-L-14-quickgelu", "dfn2b", "coco", "i2t", 1), 0.6560),
        (("ViT-B-32-quickgelu", "openai", "flickr30k", "i2t", 10), 0.9820),
    ],
)
def test_published_recall_equals_the_csv(model, expected):
    assert find_published_recall(*model) == expected


@pytest.mark.parametrize("tag", ["openai", "dfn2b", "metaclip_400m", "metaclip_fullcc"])
def test_published_recall_ignores_the_activation(tag):
    """Weights built with the wrong activation are compared with the recall of the right one."""
    plain = find_published_recall("ViT-L-14", tag, "coco", "t2i", 1)
    quickgelu = find_published_recall("ViT-L-14-quickgelu", tag, "coco", "t2i", 1)
    assert plain == quickgelu is not None


@pytest.mark.parametrize(
    "model",
    [
        ("ViT-L-14", "dfn2b_s39b", "coco", "t2i", 1),
        ("ViT-L-14", "openai", None, "t2i", 1),
        ("ViT-L-14", None, "coco", "t2i", 1),
        ("ViT-L-14", "openai", "flickr8k", "t2i", 1),
        ("ViT-L-14", "openai", "coco", "t2i", 3),
    ],
)
def test_recall_that_was_not_published_is_none(model):
    assert find_published_recall(*model) is None
