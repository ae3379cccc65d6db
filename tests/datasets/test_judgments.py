import gzip

import numpy as np
import pytest

from overtop.config.datasets import KarpathyDataset
from overtop.datasets.annotations import parse_split, write_records
from overtop.datasets.judgments import read_judgments
from overtop.datasets.karpathy import read
from overtop.errors import OvertopError
from overtop.storage.split import Split

SPLIT = Split(
    image_ids=["a.jpg", "b.jpg"],
    image_paths=["", ""],
    caption_ids=["a.jpg#0", "a.jpg#2", "b.jpg#2"],
    captions=["x", "y", "z"],
    image_of_caption=np.array([0, 0, 1]),
)
EXPERT = ["a.jpg\tb.jpg#2\t2\t3\t4", "a.jpg\ta.jpg#2\t4\t4\t4", "b.jpg\ta.jpg#2\t3\t3\t2", "c.jpg\tb.jpg#2\t1\t1\t1"]
CROWD = ["b.jpg\ta.jpg#2\t0.5\t2\t2", "a.jpg\tb.jpg#2\t0.666666666667\t2\t1", "a.jpg\tc.jpg#2\t1\t3\t0"]


def _write_file(folder, lines, name="ratings.txt"):
    content = "".join(f"{line}\n" for line in lines).encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder / name


@pytest.mark.parametrize("name", ["ratings.txt", "ratings.txt.gz"])
def test_every_judged_pair_of_the_split_has_one_row(tmp_path, name):
    (tmp_path / "crowd").mkdir()
    files = {"expert": _write_file(tmp_path, EXPERT, name), "crowd": _write_file(tmp_path / "crowd", CROWD, name)}
    judgments = read_judgments(files, SPLIT)
    assert judgments.to_dict("split")["data"] == [
        ["a.jpg", "b.jpg#2", "expert", pytest.approx(2 / 3), True, 3, False],
        ["a.jpg", "a.jpg#2", "expert", 1.0, True, 3, True],
        ["b.jpg", "a.jpg#2", "expert", pytest.approx(5 / 9), False, 3, False],
        ["b.jpg", "a.jpg#2", "crowd", 0.5, False, 4, False],  # equal numbers of yes and no
        ["a.jpg", "b.jpg#2", "crowd", pytest.approx(2 / 3), True, 3, False],
    ]
    assert list(judgments) == ["image_id", "caption_id", "source", "relevance", "relevant", "n_raters", "labelled"]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("expert", "a.jpg\tb.jpg#2\t2\t3"),
        ("expert", "a.jpg\tb.jpg#2\t2\t3\t5"),
        ("expert", "a.jpg\tb.jpg#2\t0\t3\t1"),
        ("expert", "a.jpg\tb.jpg#2\t2\t3\tgood"),
        ("expert", "a.jpg"),
        ("expert", ""),
        ("expert", EXPERT[0]),  # repeated
        ("crowd", "a.jpg\tb.jpg#2\t0.5\t2\t1"),
        ("crowd", "a.jpg\tb.jpg#2\t0\t0\t0"),
        ("crowd", "a.jpg\tb.jpg#2\tnan\t2\t1"),
        ("crowd", "a.jpg\tb.jpg#2\t2\t2\t-1"),
        ("crowd", "a.jpg\tb.jpg#2\t1\t1"),
    ],
)
def test_invalid_line_is_reported_with_its_number(tmp_path, source, line):
    first = EXPERT[0] if source == "expert" else CROWD[0]
    path = _write_file(tmp_path, [first, line])
    with pytest.raises(OvertopError, match=r"ratings\.txt, line 2: "):
        read_judgments({source: path}, SPLIT)


def test_judgments_of_another_data_set_are_rejected(tmp_path):
    path = _write_file(tmp_path, ["a\tb#2\t2\t3\t4"])
    with pytest.raises(OvertopError, match=r"captions have ids like 'a\.jpg#0'"):
        read_judgments({"expert": path}, SPLIT)


def test_damaged_file_is_rejected(tmp_path):
    path = _write_file(tmp_path, EXPERT, "ratings.txt.gz")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(OvertopError, match=r"ratings\.txt\.gz: cannot be decompressed"):
        read_judgments({"expert": path}, SPLIT)


def test_missing_file_is_one_line_error(tmp_path):
    with pytest.raises(OvertopError, match=r"ratings\.txt is missing; judgments come with the folder"):
        read_judgments({"expert": tmp_path / "ratings.txt"}, SPLIT)


def test_judgments_of_flickr8k_cover_its_test_split(mirror, tmp_path):
    """Expected counts come from a simple loop over the files."""
    folder = mirror / "flickr8k"
    write_records(tmp_path, parse_split("captions.jsonl", (folder / "captions.jsonl").read_bytes(), "test"))
    split = read("flickr8k", KarpathyDataset(kind="karpathy", source="flickr8k"), tmp_path, "test")
    files = {"expert": folder / "ExpertAnnotations.txt.gz", "crowd": folder / "CrowdFlowerAnnotations.txt.gz"}
    judgments = read_judgments(files, split)
    unlabelled = judgments[~judgments["labelled"]]
    assert judgments["source"].value_counts().to_dict() == {"crowd": 47830, "expert": 5822}
    assert unlabelled.groupby("source")["relevant"].agg(["sum", "size"]).to_numpy().tolist() == [
        [2004, 47109],
        [465, 5664],
    ]
    assert set(judgments["image_id"]) == set(split.image_ids)
    assert {caption.rsplit("#", 1)[1] for caption in judgments["caption_id"]} == {"2"}
    # Nearly all raters agree that a caption describes its own image.
    assert judgments[judgments["labelled"]].groupby("source")["relevant"].mean().min() > 0.97


def test_no_pair_of_a_caption_without_an_image_is_labelled(tmp_path):
    split = Split(SPLIT.image_ids, SPLIT.image_paths, SPLIT.caption_ids, SPLIT.captions, np.array([0, 0, -1]))
    judgments = read_judgments({"expert": _write_file(tmp_path, ["b.jpg\tb.jpg#2\t4\t4\t4", *EXPERT])}, split)
    assert judgments[judgments["labelled"]]["caption_id"].tolist() == ["a.jpg#2"]
