import pytest

from overtop.reference.architecture import joined


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["ViT-L-14"], "ViT-L-14"),
        (["ViT-L-14-quickgelu", "ViT-L-14"], "ViT-L-14"),
        (["ViT-B-32-quickgelu", "ViT-L-14", "ViT-B-32"], "ViT-B-32+ViT-L-14"),
        (["ViT-L-14-336-quickgelu"], "ViT-L-14-336"),
    ],
)
def test_each_architecture_once_and_without_its_activation(names, expected):
    assert joined([{"name": str(i), "architecture": name} for i, name in enumerate(names)]) == expected


def test_embeddings_made_elsewhere_have_none():
    assert joined([{"name": "imported"}]) == ""
    assert joined([{"name": "a", "architecture": "ViT-L-14"}, {"name": "imported"}]) == ""
