"""Small editions of the paper's sources in their real formats, for a stand-in to serve.

Annotations are Karpathy's JSON with COCO's own ids; images are drawn scenes as JPEG; members of the ensemble are small
models that were trained here, in the hub's layout, and a ViT-L/14 and a ViT-B/32 of full size with random weights.
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

from overtop.datasets.shapes import captions, draw, generate
from overtop.encoders.catalogue import OWN_MODELS
from overtop.encoders.compat import open_clip

SIZES = {"mscoco": {"train": 24, "restval": 8, "val": 10, "test": 16}, "flickr30k": {"train": 4, "val": 4, "test": 12}}
RANDOM = {  # served as the repositories that open_clip's tags name
    "laion/CLIP-ViT-L-14-laion2B-s32B-b82K": "ViT-L-14",
    "timm/vit_base_patch32_clip_224.openai": "ViT-B-32",
}

Record = dict[str, Any]


def write_sources(root: Path, trained: list[Path]) -> None:
    """Write all that the reduced paper fetches.

    Args:
        root: of the stand-in.
        trained: checkpoints of the architecture shapes-vit.
    """
    records = {name: _records(name) for name in SIZES}
    _zip(
        root / "files/caption_datasets.zip",
        {f"dataset_{_KARPATHY[name]}.json": json.dumps({"images": kept}).encode() for name, kept in records.items()},
    )
    for folder in ("val2014", "train2014"):
        members = {f"{folder}/{r['filename']}": _jpeg(r) for r in records["mscoco"] if r["filepath"] == folder}
        _zip(root / f"files/{folder}.zip", members)
    _zip(
        root / "files/flickr30k-images.zip",
        {f"flickr30k-images/{r['filename']}": _jpeg(r) for r in records["flickr30k"]},
    )
    for name, repo in (("mscoco", "wds_mscoco_captions"), ("flickr30k", "wds_flickr30k")):
        tests = [r for r in records[name] if r["split"] == "test"]
        _shards(root / "hub/datasets/clip-benchmark" / repo / "test", tests)
    for number, checkpoint in enumerate(trained):
        write_small_member(root / f"hub/models/standin/small-{number}", checkpoint)
    for repo, architecture in RANDOM.items():
        _random_weights(root / "hub/models" / repo / "open_clip_model.safetensors", architecture)


_KARPATHY = {"mscoco": "coco", "flickr30k": "flickr30k"}


def _records(name: str) -> list[Record]:
    """What Karpathy's JSON says of each image."""
    known = distribution("eccv_caption")
    owners = json.loads(Path(str(known.locate_file("eccv_caption/data/original_caption_to_image.json"))).read_text())
    captions_of: dict[int, list[int]] = {}
    for caption, [image] in owners.items():
        captions_of.setdefault(image, []).append(int(caption))
    tests = iter(captions_of.items())
    records = []
    for split, count in SIZES[name].items():
        for number, (scene, five) in enumerate(zip(generate(split, count, 7), captions(split, count, 7), strict=True)):
            cocoid, sentids = next(tests) if split == "test" else (900_000 + len(records), list(range(5)))
            record: Record = {"split": split, "sentences": [{"raw": c.text} for c in five], "_scene": scene.image_id}
            if name == "mscoco":
                folder = "train2014" if split == "train" else "val2014"
                record |= {"filepath": folder, "filename": f"COCO_{folder}_{cocoid:012d}.jpg", "cocoid": cocoid}
                for sentence, sentid in zip(record["sentences"], sentids, strict=True):
                    sentence["sentid"] = sentid
            else:
                record |= {"filename": f"{1_000_000 + len(records)}.jpg"}
            records.append(record | {"_number": number})
    return records


def _jpeg(record: Record) -> bytes:
    scene = generate(record["split"], record["_number"] + 1, 7)[record["_number"]]
    buffer = io.BytesIO()
    draw(scene, 96).convert("RGB").save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _zip(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _shards(folder: Path, records: list[Record], count: int = 2) -> None:
    """webdataset shards as CLIP_benchmark writes them."""
    folder.mkdir(parents=True)
    (folder / "nshards.txt").write_text(f"{count}\n")
    for shard in range(count):
        with tarfile.open(folder / f"{shard}.tar", "w") as tar:
            for number, record in list(enumerate(records))[shard::count]:
                text = "\n".join(sentence["raw"] for sentence in record["sentences"]).encode()
                for suffix, content in (("jpg", _jpeg(record)), ("txt", text)):
                    entry = tarfile.TarInfo(f"s{number:07d}.{suffix}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))


def write_small_member(folder: Path, checkpoint: Path) -> None:
    """A trained checkpoint in the layout of open_clip's repositories."""
    folder.mkdir(parents=True)
    (folder / "open_clip_model.safetensors").write_bytes(checkpoint.read_bytes())
    architecture = json.loads((OWN_MODELS / "shapes-vit.json").read_text())
    preprocessing = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic"}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": architecture, "preprocess_cfg": preprocessing})
    )


def _random_weights(path: Path, architecture: str) -> None:
    """In half precision, as large checkpoints often come."""
    path.parent.mkdir(parents=True)
    torch.manual_seed(0)
    model = open_clip.create_model(architecture, precision="fp16")
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    del model
    gc.collect()
