import pytest

from overtop.reference.recalls import published_recall


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
def test_published_figures(model, expected):
    assert published_recall(*model) == expected


def test_the_activation_makes_no_other_model():
    """Weights that are built with the wrong activation are held against the right one's figures."""
    for tag in ("openai", "dfn2b", "metaclip_400m", "metaclip_fullcc"):
        first, second = (published_recall(f"ViT-L-14{end}", tag, "coco", "t2i", 1) for end in ("", "-quickgelu"))
        assert first == second is not None


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
def test_what_is_not_published(model):
    assert published_recall(*model) is None
