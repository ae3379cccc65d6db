"""Extended positives of COCO's test split, from a stand-in for the package with few judgments."""

import json
from importlib import metadata

import pytest

from overtop.datasets import known_positives
from overtop.datasets.known_positives import find_eccv_judgments, find_extended_positives
from overtop.errors import OvertopError

IMAGE_OF_CAPTION = {1: 10, 2: 10, 3: 20, 4: 30}
FILES = {
    "original_caption_to_image": {"1": [10], "2": [10], "3": [20], "4": [30], "5": [40]},
    "cxc_caption_to_image": {"1": [10, 20], "5": [10, 40]},  # without 2, 3 and 4
    "cxc_image_to_caption": {"10": [1], "20": [1], "40": [5]},
    "eccv_caption_to_image": {"2": [30, 40], "3": [10]},  # without the labelled images of 2 and 3
    "eccv_image_to_caption": {"20": [4, 99], "30": [5]},  # 99 is not in the split; 5 and 40 are of another split
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the same name with few judgments, found before an installed one."""
    data = tmp_path / "eccv_caption" / "data"
    data.mkdir(parents=True)
    (tmp_path / "eccv_caption" / "__init__.py").write_text("raise AssertionError('only the data is needed')")
    for name, lists in FILES.items():
        (data / f"{name}.json").write_text(json.dumps(lists))
    info = tmp_path / "eccv_caption-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: eccv-caption\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([], {1: {10}, 2: {10}, 3: {20}, 4: {30}}),
        (["cxc"], {1: {10, 20}, 2: {10}, 3: {20}, 4: {30}}),
        (["eccv"], {1: {10}, 2: {10, 30}, 3: {10, 20}, 4: {20, 30}}),
        (["cxc", "eccv"], {1: {10, 20}, 2: {10, 30}, 3: {10, 20}, 4: {20, 30}}),
    ],
)
def test_positives_are_union_of_directions_sources_and_labels(sources, expected):
    assert find_extended_positives(IMAGE_OF_CAPTION, sources) == expected
    assert find_extended_positives(IMAGE_OF_CAPTION, sources[::-1]) == expected


@pytest.mark.usefixtures("package")
def test_positives_of_a_subset_are_within_the_subset():
    assert find_extended_positives({2: 10, 3: 20}, ["cxc", "eccv"]) == {2: {10}, 3: {10, 20}}


@pytest.mark.usefixtures("package")
def test_eccv_judgments_are_its_pairs_alone_and_its_queries():
    positives, captions, images = find_eccv_judgments(IMAGE_OF_CAPTION)
    assert positives == {1: set(), 2: {30}, 3: {10}, 4: {20}}
    assert captions == {2, 3}
    assert images == {20, 30}


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("foreign", [{6: 10}, {1: 20}])
def test_unknown_id_is_reported(foreign):
    ((caption, image),) = foreign.items()
    with pytest.raises(OvertopError, match=f"has no caption {caption} of image {image}"):
        find_extended_positives({**IMAGE_OF_CAPTION, **foreign}, ["cxc"])


def test_missing_package_is_reported_with_install_command(monkeypatch):
    def raise_not_found(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(known_positives, "distribution", raise_not_found)
    with pytest.raises(OvertopError, match=r"pip install eccv_caption==0\.1\.0"):
        find_extended_positives(IMAGE_OF_CAPTION, ["cxc"])
