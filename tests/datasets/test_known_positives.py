"""Extended positives of COCO's test split, from a package of a few judgments."""

import json
from importlib import metadata

import pytest

from overtop.datasets import known_positives
from overtop.datasets.known_positives import find_positives
from overtop.errors import OvertopError

OWNERS = {1: 10, 2: 10, 3: 20, 4: 30}
FILES = {
    "original_caption_to_image": {"1": [10], "2": [10], "3": [20], "4": [30], "5": [40]},
    "cxc_caption_to_image": {"1": [10, 20], "5": [10, 40]},  # nothing of 2, 3 and 4
    "cxc_image_to_caption": {"10": [1], "20": [1], "40": [5]},
    "eccv_caption_to_image": {"2": [30, 40], "3": [10]},  # denies 2 and 3 their own images
    "eccv_image_to_caption": {"20": [4, 99], "30": [5]},  # 99 is a sixth caption, 5 and 40 of another split
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of that name with few judgments, in front of any real one."""
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
def test_both_directions_and_all_sources_are_united_with_the_labels(sources, expected):
    assert find_positives(OWNERS, sources) == expected
    assert find_positives(OWNERS, sources[::-1]) == expected


@pytest.mark.usefixtures("package")
def test_images_of_a_part_of_the_split_are_of_that_part():
    assert find_positives({2: 10, 3: 20}, ["cxc", "eccv"]) == {2: {10}, 3: {10, 20}}


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("foreign", [{6: 10}, {1: 20}])
def test_a_foreign_id_is_named(foreign):
    ((caption, image),) = foreign.items()
    with pytest.raises(OvertopError, match=f"does not know caption {caption} of image {image}"):
        find_positives({**OWNERS, **foreign}, ["cxc"])


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(known_positives, "distribution", missing)
    with pytest.raises(OvertopError, match=r"pip install eccv_caption==0\.1\.0"):
        find_positives(OWNERS, ["cxc"])
