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


def _file(folder, lines, name="said.txt"):
    content = "".join(f"{line}\n" for line in lines).encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder / name


@pytest.mark.parametrize("name", ["said.txt", "said.txt.gz"])
def test_every_pair_of_the_split_has_a_row(tmp_path, name):
    (tmp_path / "crowd").mkdir()
    files = {"expert": _file(tmp_path, EXPERT, name), "crowd": _file(tmp_path / "crowd", CROWD, name)}
    found = read_judgments(files, SPLIT)
    assert found.to_dict("split")["data"] == [
        ["a.jpg", "b.jpg#2", "expert", pytest.approx(2 / 3), True, 3, False],
        ["a.jpg", "a.jpg#2", "expert", 1.0, True, 3, True],
        ["b.jpg", "a.jpg#2", "expert", pytest.approx(5 / 9), False, 3, False],
        ["b.jpg", "a.jpg#2", "crowd", 0.5, False, 4, False],  # as many yes as no
        ["a.jpg", "b.jpg#2", "crowd", pytest.approx(2 / 3), True, 3, False],
    ]
    assert list(found) == ["image_id", "caption_id", "source", "relevance", "relevant", "n_raters", "labelled"]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("expert", "a.jpg\tb.jpg#2\t2\t3"),
        ("expert", "a.jpg\tb.jpg#2\t2\t3\t5"),
        ("expert", "a.jpg\tb.jpg#2\t0\t3\t1"),
        ("expert", "a.jpg\tb.jpg#2\t2\t3\tgood"),
        ("expert", "a.jpg"),
        ("expert", ""),
        ("expert", EXPERT[0]),  # again
        ("crowd", "a.jpg\tb.jpg#2\t0.5\t2\t1"),
        ("crowd", "a.jpg\tb.jpg#2\t0\t0\t0"),
        ("crowd", "a.jpg\tb.jpg#2\tnan\t2\t1"),
        ("crowd", "a.jpg\tb.jpg#2\t2\t2\t-1"),
        ("crowd", "a.jpg\tb.jpg#2\t1\t1"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, source, line):
    first = EXPERT[0] if source == "expert" else CROWD[0]
    path = _file(tmp_path, [first, line])
    with pytest.raises(OvertopError, match=r"said\.txt, line 2: "):
        read_judgments({source: path}, SPLIT)


def test_judgments_of_other_ids_are_refused(tmp_path):
    path = _file(tmp_path, ["a\tb#2\t2\t3\t4"])
    with pytest.raises(OvertopError, match=r"names captions like 'a\.jpg#0'"):
        read_judgments({"expert": path}, SPLIT)


def test_a_damaged_file_is_named(tmp_path):
    path = _file(tmp_path, EXPERT, "said.txt.gz")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(OvertopError, match=r"said\.txt\.gz: cannot be read"):
        read_judgments({"expert": path}, SPLIT)


def test_a_missing_file_is_named_with_where_it_comes_from(tmp_path):
    with pytest.raises(OvertopError, match=r"said\.txt is missing; judgments come with the folder"):
        read_judgments({"expert": tmp_path / "said.txt"}, SPLIT)


def test_the_real_judgments_are_of_the_real_test_split(mirror, tmp_path):
    """Counts of pairs, of relevant others and of labelled pairs are those of a plain loop over the files."""
    folder = mirror / "flickr8k"
    write_records(tmp_path, parse_split("captions.jsonl", (folder / "captions.jsonl").read_bytes(), "test"))
    split = read("flickr8k", KarpathyDataset(kind="karpathy", source="flickr8k"), tmp_path, "test")
    files = {"expert": folder / "ExpertAnnotations.txt.gz", "crowd": folder / "CrowdFlowerAnnotations.txt.gz"}
    found = read_judgments(files, split)
    others = found[~found["labelled"]]
    assert found["source"].value_counts().to_dict() == {"crowd": 47830, "expert": 5822}
    assert others.groupby("source")["relevant"].agg(["sum", "size"]).to_numpy().tolist() == [[2004, 47109], [465, 5664]]
    assert set(found["image_id"]) == set(split.image_ids)
    assert {caption.rsplit("#", 1)[1] for caption in found["caption_id"]} == {"2"}
    # People agree that a caption describes its own image.
    assert found[found["labelled"]].groupby("source")["relevant"].mean().min() > 0.97
