"""Small versions of the paper's data and weights in their original formats, for `FakeServer` to serve.

Annotations are Karpathy's JSON with COCO's ids. Images are synthetic scenes as JPEG. Encoders are small models that a
test trained, in the layout of open_clip's repositories, and a ViT-L/14 and a ViT-B/32 with random weights.
"""

import gc
import io
import json
import tarfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from overtop.datasets.scene_captions import generate_captions
from overtop.datasets.scenes import draw_scene, generate_scenes
from overtop.encoders.catalogue import OWN_MODELS
from overtop.encoders.compat import open_clip

SPLIT_SIZES = {
    "mscoco": {"train": 24, "restval": 8, "val": 10, "test": 16},
    "flickr30k": {"train": 4, "val": 4, "test": 12},
}
RANDOM_WEIGHTS = {
    "laion/CLIP-ViT-L-14-laion2B-s32B-b82K": "ViT-L-14",
    "timm/vit_base_patch32_clip_224.openai": "ViT-B-32",
}
"""Repositories that open_clip downloads for the tags of the paper's encoders, and their architectures."""
KARPATHY_NAMES = {"mscoco": "coco", "flickr30k": "flickr30k"}
"""Names of the data sets in the files of Karpathy's splits."""
IMAGE_SIZE, SEED = 96, 7

Record = dict[str, Any]


def write_sources(root: Path, trained: list[Path]) -> None:
    """Write all files that the small version of the paper downloads.

    Args:
        root: the folder that `FakeServer` serves.
        trained: checkpoints of the architecture shapes-vit, served as `example/small-0` and so on.
    """
    records = {name: _make_records(name) for name in SPLIT_SIZES}
    _write_zip(
        root / "files/caption_datasets.zip",
        {
            f"dataset_{KARPATHY_NAMES[name]}.json": json.dumps({"images": images}).encode()
            for name, images in records.items()
        },
    )
    for folder in ("val2014", "train2014"):
        members = {f"{folder}/{r['filename']}": _encode_jpeg(r) for r in records["mscoco"] if r["filepath"] == folder}
        _write_zip(root / f"files/{folder}.zip", members)
    _write_zip(
        root / "files/flickr30k-images.zip",
        {f"flickr30k-images/{r['filename']}": _encode_jpeg(r) for r in records["flickr30k"]},
    )
    for name, repo in (("mscoco", "wds_mscoco_captions"), ("flickr30k", "wds_flickr30k")):
        test_records = [r for r in records[name] if r["split"] == "test"]
        _write_shards(root / "hub/datasets/clip-benchmark" / repo / "test", test_records)
    for number, checkpoint in enumerate(trained):
        write_small_encoder(root / f"hub/models/example/small-{number}", checkpoint)
    for repo, architecture in RANDOM_WEIGHTS.items():
        _write_random_weights(root / "hub/models" / repo / "open_clip_model.safetensors", architecture)


def _make_records(name: str) -> list[Record]:
    """Return the entries of Karpathy's JSON, one per image, and the number of each image's scene in its split."""
    test_ids = iter(_read_coco_test_ids().items())
    records = []
    for split, count in SPLIT_SIZES[name].items():
        for number, five_captions in enumerate(generate_captions(split, count, SEED)):
            cocoid, sentids = next(test_ids) if split == "test" else (900_000 + len(records), list(range(5)))
            record: Record = {"split": split, "sentences": [{"raw": caption.text} for caption in five_captions]}
            if name == "mscoco":
                folder = "train2014" if split == "train" else "val2014"
                record |= {"filepath": folder, "filename": f"COCO_{folder}_{cocoid:012d}.jpg", "cocoid": cocoid}
                for sentence, sentid in zip(record["sentences"], sentids, strict=True):
                    sentence["sentid"] = sentid
            else:
                record |= {"filename": f"{1_000_000 + len(records)}.jpg"}
            records.append(record | {"_number": number})
    return records


def _read_coco_test_ids() -> dict[int, list[int]]:
    """Return the ids of the images of COCO's test split and of their captions, from the package eccv_caption."""
    path = distribution("eccv_caption").locate_file("eccv_caption/data/original_caption_to_image.json")
    captions_of_image: dict[int, list[int]] = {}
    for caption, [image] in json.loads(Path(str(path)).read_text()).items():
        captions_of_image.setdefault(image, []).append(int(caption))
    return captions_of_image


def _encode_jpeg(record: Record) -> bytes:
    """Draw the scene of an image and encode it."""
    scene = generate_scenes(record["split"], record["_number"] + 1, SEED)[record["_number"]]
    buffer = io.BytesIO()
    draw_scene(scene, IMAGE_SIZE).convert("RGB").save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _write_zip(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _write_shards(folder: Path, records: list[Record], count: int = 2) -> None:
    """Write webdataset shards in the layout of CLIP_benchmark."""
    folder.mkdir(parents=True)
    (folder / "nshards.txt").write_text(f"{count}\n")
    for shard in range(count):
        with tarfile.open(folder / f"{shard}.tar", "w") as tar:
            for number, record in list(enumerate(records))[shard::count]:
                text = "\n".join(sentence["raw"] for sentence in record["sentences"]).encode()
                for suffix, content in (("jpg", _encode_jpeg(record)), ("txt", text)):
                    entry = tarfile.TarInfo(f"s{number:07d}.{suffix}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))


def write_small_encoder(folder: Path, checkpoint: Path) -> None:
    """Write a checkpoint of the architecture shapes-vit in the layout of open_clip's repositories."""
    folder.mkdir(parents=True)
    (folder / "open_clip_model.safetensors").write_bytes(checkpoint.read_bytes())
    architecture = json.loads((OWN_MODELS / "shapes-vit.json").read_text())
    preprocessing = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic"}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": architecture, "preprocess_cfg": preprocessing})
    )


def _write_random_weights(path: Path, architecture: str) -> None:
    """Write random weights in half precision, as large checkpoints often are."""
    path.parent.mkdir(parents=True)
    torch.manual_seed(0)
    model = open_clip.create_model(architecture, precision="fp16")
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    del model
    gc.collect()
