"""The script end to end: shards of one encoder as input, its recall next to published recall as output."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.evaluation.recall import RECALL_COLUMNS, RECALL_KS
from overtop.storage.shards import write_shard
from overtop.storage.split import Split, write_split

recall = load_script("recall")

IMAGES, CAPTIONS = 30, 3


def write_inputs(folder):
    """Write a split and two shards per modality; return the input files and the expected recall."""
    rng = np.random.default_rng(0)
    image_of_caption = np.repeat(np.arange(IMAGES), CAPTIONS)
    image = rng.normal(size=(IMAGES, 8))
    text = image[image_of_caption] + rng.normal(size=(IMAGES * CAPTIONS, 8))
    image_ids, caption_ids = [f"i{n}" for n in range(IMAGES)], [f"c{n}" for n in range(len(text))]
    write_split(folder / "split.parquet", Split(image_ids, image_ids, caption_ids, caption_ids, image_of_caption))
    files = {"split": folder / "split.parquet"}
    for modality, embedding, ids in (("image", image, image_ids), ("text", text, caption_ids)):
        files[modality] = [folder / f"{modality}-{shard}.h5" for shard in (0, 1)]
        for shard, rows in enumerate(np.array_split(np.arange(len(ids)), 2)):
            attributes = {"encoder": {"name": "l14"}, "sampling": "deterministic", "shard": shard, "shards": 2}
            names = [ids[row] for row in rows]
            part = embedding[rows][None].astype(np.float32)
            write_shard(files[modality][shard], part, names, np.ones(len(rows), bool), attributes)
    return files, expected_recall(image, text, image_of_caption)


def expected_recall(image, text, image_of_caption):
    """Return R@k by direction and k from the full matrix of similarities."""
    image, text = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (image, text))
    is_positive = image_of_caption[:, None] == np.arange(IMAGES)
    similarity = text @ image.T
    recalls = {}
    for direction, scores, positive in (("t2i", similarity, is_positive), ("i2t", similarity.T, is_positive.T)):
        best_positive = np.where(positive, scores, -np.inf).max(axis=1)
        rank = (scores > best_positive[:, None]).sum(axis=1) + 1
        recalls |= {(direction, k): (rank <= k).mean() for k in RECALL_KS}
    return recalls


@pytest.mark.parametrize(("split", "benchmark"), [("test", "coco"), ("val", "coco"), ("test", None)])
def test_table_has_published_recall_on_the_test_split_of_a_benchmark(tmp_path, split, benchmark):
    files, expected = write_inputs(tmp_path)
    recall.main(
        SimpleNamespace(
            input=SimpleNamespace(**files),
            output=[tmp_path / "recall.csv"],
            params=SimpleNamespace(encoder={"architecture": "ViT-L-14", "tag": "openai"}, benchmark=benchmark),
            wildcards=SimpleNamespace(dataset="mscoco", split=split, encoder="l14"),
        )
    )
    table = pd.read_csv(tmp_path / "recall.csv")
    assert list(table) == RECALL_COLUMNS
    names = table[["dataset", "split", "encoder", "tag"]].drop_duplicates()
    assert names.to_numpy().tolist() == [["mscoco", split, "l14", "openai"]]
    assert table.set_index(["direction", "k"])["recall"].to_dict() == pytest.approx(expected)
    is_published = benchmark == "coco" and split == "test"
    assert (table["published"].notna() == is_published).all()
