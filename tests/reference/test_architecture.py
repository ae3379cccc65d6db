import pytest

from overtop.reference.architecture import join_architectures


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["ViT-L-14"], "ViT-L-14"),
        (["ViT-L-14-quickgelu", "ViT-L-14"], "ViT-L-14"),
        (["ViT-B-32-quickgelu", "ViT-L-14", "ViT-B-32"], "ViT-B-32+ViT-L-14"),
        (["ViT-L-14-336-quickgelu"], "ViT-L-14-336"),
    ],
)
def test_architectures_are_joined_once_each_without_activation(names, expected):
    encoders = [{"name": str(i), "architecture": name} for i, name in enumerate(names)]
    assert join_architectures(encoders) == expected


def test_imported_embeddings_have_no_architecture():
    assert join_architectures([{"name": "imported"}]) == ""
    assert join_architectures([{"name": "a", "architecture": "ViT-L-14"}, {"name": "imported"}]) == ""
