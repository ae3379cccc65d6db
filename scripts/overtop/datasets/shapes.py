"""A synthetic data set whose positives are known exactly: scenes of coloured shapes, and captions of known precision.

See `overtop.datasets.scenes` for the images and `overtop.datasets.scene_captions` for the captions.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from overtop.config.datasets import ShapesDataset
from overtop.datasets.raw import FetchContext, remove_other_files, unknown_split_error
from overtop.datasets.scene_captions import LEVELS, find_matching_scenes, generate_captions
from overtop.datasets.scenes import Scene, draw_scene, generate_scenes
from overtop.storage.json_files import write_plain_json
from overtop.storage.split import Split

_PARAMETERS_FILE = "shapes.json"


def fetch(name: str, spec: ShapesDataset, split: str, raw: Path, context: FetchContext) -> None:
    """Draw the images of a split into `raw`, and write the parameters that they were generated from.

    Raises:
        OvertopError: the data set has no such split.
    """
    if split not in spec.images:
        raise unknown_split_error(split, f"datasets.{name}.images", spec.images)
    n_images = spec.images[split]
    files = write_images(raw, split, n_images, spec.image_size, context.seed)
    remove_other_files(raw, [file.name for file in files])
    parameters = {"split": split, "images": n_images, "image_size": spec.image_size, "seed": context.seed}
    write_plain_json(raw / _PARAMETERS_FILE, parameters)


def read(name: str, spec: ShapesDataset, raw: Path, split: str) -> Split:
    """The images of `split`, their captions, and the positives of every caption.

    The train split has no extended positives: it is never a gallery, and its vague captions would each list all images.
    """
    seed = json.loads((raw / _PARAMETERS_FILE).read_text())["seed"]
    n_images = spec.images.get(split, 0)
    scenes = generate_scenes(split, n_images, seed)
    captions = [caption for captions in generate_captions(split, n_images, seed) for caption in captions]
    return Split(
        image_ids=[scene.image_id for scene in scenes],
        image_paths=[_file_name(scene) for scene in scenes],
        caption_ids=[f"{scene.image_id}-{k}" for scene in scenes for k in range(len(LEVELS))],
        captions=[caption.text for caption in captions],
        image_of_caption=np.repeat(np.arange(n_images, dtype=np.int64), len(LEVELS)),
        extended=None if split == "train" else find_matching_scenes([caption.query for caption in captions], scenes),
        levels=[caption.level for caption in captions],
    )


def write_images(folder: str | Path, split: str, n_images: int, image_size: int, seed: int) -> list[Path]:
    """Draw a split into `folder`, one PNG per image; the same arguments give the same bytes.

    Args:
        folder: created if it does not exist.
        split: as for `generate_scenes`.
        n_images: as for `generate_scenes`.
        image_size: width and height in pixels.
        seed: as for `generate_scenes`.

    Returns:
        The files, in the order of the scenes.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)

    def write(scene: Scene) -> Path:
        path = target / _file_name(scene)
        draw_scene(scene, image_size).save(path, format="PNG")
        return path

    with ThreadPoolExecutor() as pool:
        return list(pool.map(write, generate_scenes(split, n_images, seed)))


def _file_name(scene: Scene) -> str:
    return f"{scene.image_id}.png"
