"""Small versions of labelled-image data sets in their original formats, for `FakeServer` to serve.

One of each format: webdataset shards as in CLIP_benchmark's repositories on the hub, TinyImageNet's zip, Caltech256's
tar, and COCO's images with the JSON of their objects. The class of an image is its colour. The encoder has random
weights, in the layout of open_clip's repositories.
"""

import colorsys
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from helpers.encoder_inputs import SHAPES_SPEC
from helpers.paper_sources import write_small_encoder
from overtop.encoders.loading import build_model

WEBDATASET_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TINYIMAGENET_CLASSES = {
    "n01443537": "goldfish, Carassius auratus",
    "n01629819": "European fire salamander, Salamandra salamandra",
    "n02123045": "tabby, tabby cat",
    "n03126707": "crane",
    "n07920052": "espresso",
    "n04285008": "sports car, sport car",
}
"""WordNet ids and names with their synonyms, in another order than that of the ids, as in the original."""
CALTECH256_FOLDERS = ("001.ak47", "002.american-flag", "003.backpack", "256.toad", "257.clutter")
COCO_CATEGORIES = {1: "person", 18: "dog", 44: "bottle", 62: "chair"}
"""Ids have gaps, as in the original."""
COCO_OBJECTS = ((1, 18), (62,), (44, 62, 44), (18,), (), (1,), (1, 44, 18, 62), (44,))
"""Categories of the objects of each image; one image has none."""

SIZES = {"train": 10, "val": 3, "webdataset": 2, "caltech256": 3}
"""Images per class."""


def write_class_sources(root: Path) -> None:
    """Write all files into the folder that `FakeServer` serves."""
    _write_webdataset(root / "hub/datasets/clip-benchmark/wds_vtab-cifar10")
    _write_zip(root / "files/tiny-imagenet-200.zip", _tinyimagenet_members())
    _write_caltech256(root / "files/256_ObjectCategories.tar")
    _write_zip(root / "files/val2017.zip", {name: _encode(hues) for name, hues in _coco_images().items()})
    annotations = json.dumps(_coco_instances()).encode()
    _write_zip(root / "files/annotations_trainval2017.zip", {"annotations/instances_val2017.json": annotations})
    torch.manual_seed(0)
    weights = root / "random.safetensors"
    save_file(build_model("random", SHAPES_SPEC, None).state_dict(), weights)
    write_small_encoder(root / "hub/models/example/small-0", weights)


def _encode(hues: tuple[float, ...], seed: int = 0, form: str = "JPEG", size: tuple[int, int] = (40, 36)) -> bytes:
    """An image with one stripe of noise around each colour; without colours it is grey, and stored as such."""
    noise = np.random.default_rng([seed, *(round(1000 * hue) for hue in hues)])
    colours = [colorsys.hsv_to_rgb(hue, 0.8, 0.8) for hue in hues] or [(0.5, 0.5, 0.5)]
    columns = np.arange(size[0]) * len(colours) // size[0]
    pixels = 255 * np.asarray(colours)[columns][None].repeat(size[1], axis=0)
    pixels = np.clip(pixels + noise.normal(0, 20, pixels.shape), 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels) if hues else Image.fromarray(pixels).convert("L")
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def _write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _write_webdataset(folder: Path, shards: int = 2) -> None:
    """Write the test split, in shards, with class names and templates."""
    (folder / "test").mkdir(parents=True)
    (folder / "classnames.txt").write_text("".join(f"{name}\n" for name in WEBDATASET_CLASSES))
    templates = ("a photo of a {c}.", "a low resolution photo of the {c}.")
    (folder / "zeroshot_classification_templates.txt").write_text("\n".join(templates))
    (folder / "test/nshards.txt").write_text(str(shards))
    count = len(WEBDATASET_CLASSES) * SIZES["webdataset"]
    for shard in range(shards):
        with tarfile.open(folder / f"test/{shard}.tar", "w") as archive:
            for number in range(shard, count, shards):
                label = number % len(WEBDATASET_CLASSES)
                _add_member(archive, f"s{number:07d}.cls", str(label).encode())
                image = _encode((label / len(WEBDATASET_CLASSES),), number, "PNG", (32, 32))
                _add_member(archive, f"s{number:07d}.png", image)


def _tinyimagenet_members() -> dict[str, bytes]:
    """The files of tiny-imagenet-200.zip; one image is grey, and the images of the folder `test` have no labels."""
    root = "tiny-imagenet-200"
    words = "".join(f"{wnid}\t{name}\n" for wnid, name in [*TINYIMAGENET_CLASSES.items(), ("n00001740", "entity")])
    members = {f"{root}/wnids.txt": "\n".join(TINYIMAGENET_CLASSES).encode(), f"{root}/words.txt": words.encode()}
    annotations = []
    for label, wnid in enumerate(TINYIMAGENET_CLASSES):
        hues = (label / len(TINYIMAGENET_CLASSES),)
        for number in range(SIZES["train"]):
            name = f"{root}/train/{wnid}/images/{wnid}_{number}.JPEG"
            members[name] = _encode(hues if (label, number) != (0, 0) else (), number, size=(64, 64))
        members[f"{root}/train/{wnid}/{wnid}_boxes.txt"] = b""
        for number in range(SIZES["val"]):
            file = f"val_{len(annotations)}.JPEG"
            annotations.append(f"{file}\t{wnid}\t0\t0\t63\t63\n")
            members[f"{root}/val/images/{file}"] = _encode(hues, 100 + number, size=(64, 64))
    members[f"{root}/val/val_annotations.txt"] = "".join(annotations).encode()
    members[f"{root}/test/images/test_0.JPEG"] = _encode((0.5,), size=(64, 64))
    return members


def _write_caltech256(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for label, folder in enumerate(CALTECH256_FOLDERS):
            for number in range(1, SIZES["caltech256"] + 1):
                image = _encode((label / len(CALTECH256_FOLDERS),), number)
                _add_member(archive, f"256_ObjectCategories/{folder}/{folder[:3]}_{number:04d}.jpg", image)


def _coco_images() -> dict[str, tuple[float, ...]]:
    """Names of the images and their colours, one of each object."""
    ids = list(COCO_CATEGORIES)
    return {
        f"val2017/{139 + number:012d}.jpg": tuple(ids.index(category) / len(ids) for category in objects)
        for number, objects in enumerate(COCO_OBJECTS)
    }


def _coco_instances() -> dict[str, list[dict[str, object]]]:
    """The content of instances_val2017.json, with the keys that a reader could use."""
    objects = [(139 + number, category) for number, those in enumerate(COCO_OBJECTS) for category in those]
    return {
        "images": [
            {"id": 139 + number, "file_name": f"{139 + number:012d}.jpg", "width": 40, "height": 36}
            for number in range(len(COCO_OBJECTS))
        ],
        "annotations": [
            {"id": 1000 + n, "image_id": image, "category_id": category, "iscrowd": 0, "bbox": [0, 0, 9, 9], "area": 81}
            for n, (image, category) in enumerate(objects)
        ],
        "categories": [{"id": id_, "name": name, "supercategory": "thing"} for id_, name in COCO_CATEGORIES.items()],
    }
