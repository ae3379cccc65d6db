"""COCO's annotations of instances as labels."""

import json

import pytest

from overtop.datasets.class_coco import parse_instances
from overtop.errors import OvertopError

INSTANCES = {
    "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
    "images": [{"id": 7, "file_name": "b.jpg"}, {"id": 2, "file_name": "a.jpg"}, {"id": 5, "file_name": "empty.jpg"}],
    "annotations": [
        {"image_id": 7, "category_id": 3, "iscrowd": 1},
        {"image_id": 2, "category_id": 90},
        {"image_id": 7, "category_id": 1},
        {"image_id": 7, "category_id": 3},
    ],
}
MEMBER = "annotations/instances_val2017.json"
FILES = {"layout": "coco", "images": "images", "annotations": "annotations", "splits": {"test": MEMBER}}
PHOTOS = {f"val2017/{name}.jpg": name.encode() for name in ("a", "b", "empty", "other")}


def make_sources(source_files, instances=INSTANCES, photos=PHOTOS):
    return {
        "annotations": source_files.add_zip("annotations", {MEMBER: json.dumps(instances).encode()}),
        "images": source_files.add_zip("images", photos),
    }


def test_image_has_every_category_of_its_instances_once(source_files):
    split = source_files.fetch_classes(FILES, sources=make_sources(source_files))
    assert split.captions == ["person", "car", "toothbrush"]
    assert split.image_ids == ["a.jpg", "b.jpg"]
    assert [images.tolist() for images in split.labels] == [[1], [1], [0]]
    assert (source_files.data / split.image_paths[1]).read_bytes() == b"b"


def test_images_without_instances_are_left_out():
    _, labels = parse_instances("x.json", json.dumps(INSTANCES).encode())
    assert labels == {"b.jpg": [0, 1], "a.jpg": [2]}


def test_missing_image_is_one_line_error(source_files):
    sources = make_sources(source_files, photos={"val2017/a.jpg": b"a"})
    with pytest.raises(OvertopError, match=r"images\.zip: no image 'b\.jpg'; 1 images of .*instances_val2017\.json"):
        source_files.fetch_classes(FILES, sources=sources)


@pytest.mark.parametrize(
    "change",
    [
        {"annotations": [{"image_id": 7, "category_id": 2}]},
        {"annotations": [{"image_id": 1, "category_id": 1}]},
        {"annotations": [{"image_id": 7}]},
        {"categories": None},
        {"images": [{"id": 7}]},
    ],
)
def test_content_that_is_no_annotations_of_instances_is_rejected(change):
    with pytest.raises(OvertopError, match=r"^x\.json: not COCO's annotations of instances"):
        parse_instances("x.json", json.dumps(INSTANCES | change).encode())


def test_content_that_is_no_json_is_rejected():
    with pytest.raises(OvertopError, match=r"^x\.json: not COCO's"):
        parse_instances("x.json", b"<html>")


@pytest.mark.parametrize(
    "change",
    [
        {"categories": [{"id": 1, "name": "dog"}, {"id": 1, "name": "cat"}]},
        {"categories": [{"id": 1, "name": None}]},
        {"images": [{"id": 1, "file_name": 7}]},
        {"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]},
    ],
)
def test_ids_that_repeat_and_names_that_are_no_texts_are_rejected(change):
    values = {"categories": [{"id": 1, "name": "dog"}], "images": [{"id": 1, "file_name": "a"}], "annotations": []}
    with pytest.raises(OvertopError, match=r"^x\.json: not COCO's annotations of instances"):
        parse_instances("x.json", json.dumps({**values, **change}).encode())
