"""`overtop init`: what it finds, what it writes, and that the pipeline accepts it."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from snakemake.utils import update_config

from helpers.pipeline import read_committed_config
from helpers.saved_datasets import image_table, save_splits_to_disk, save_to_disk, write_image_folder
from overtop.cli.init import init
from overtop.errors import OvertopError
from overtop.pipeline.loading import load_config


@pytest.fixture
def written(tmp_path, monkeypatch, capsys, repo):
    """A function that runs the command: what it printed in one line, the file, its entries, and the configuration."""

    def run(path=tmp_path / "mine", name="mine"):
        (tmp_path / "work").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "work")
        init(path, name, None)
        printed = " ".join(capsys.readouterr().out.split())
        text = Path(f"{name}.yaml").read_text()
        entries = yaml.safe_load(text)
        values = read_committed_config(repo)
        update_config(values, entries)
        return printed, text, entries, load_config(values)

    (tmp_path / "mine").mkdir()
    return run


def write_images(folder, names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(folder / name)


def write_captions(folder, rows, name="captions.csv", columns=("image", "caption"), **options):
    pd.DataFrame(rows, columns=list(columns)).to_csv(folder / name, index=False, **options)


def test_images_with_captions(written, tmp_path):
    mine = tmp_path / "mine"
    write_images(mine, ["a.png", "b.png", "c.png", "d.png"])
    write_captions(mine, [("a.png", "x"), ("a.png", "y"), ("b.png", "z"), ("c.png", "")])
    (mine / "b.png").write_bytes(b"no image")
    printed, text, entries, config = written()
    assert "3 images, 3 captions, 1 to 2 per image (median 1.5), and 1 image without a caption" in printed
    assert "1 image not in the table, so not in the gallery: d.png" in printed
    assert "1 image of all cannot be read: b.png" in printed
    assert printed.endswith("snakemake --configfile mine.yaml")
    assert "# snakemake --configfile mine.yaml builds the targets.\n" in text
    assert config.targets == ["results/reports/mine.html", "results/operating/mine/test/clip.csv"]
    expected = {"kind": "table", "source": str(mine), "on_error": "skip", "split": {"val": 0.5}}
    assert entries["datasets"] == {"mine": expected}
    assert config.datasets["mine"].split_names() == ["test", "val"]
    assert config.reports["mine"].tables == ["mine"]


@pytest.mark.parametrize("name", ["2024", "1_000", "0x1f", "null", "1.5"])
def test_name_that_yaml_would_take_for_another_value_is_quoted(written, tmp_path, name):
    write_images(tmp_path / "mine", ["a.png", "b.png"])
    write_captions(tmp_path / "mine", [("a.png", "x"), ("b.png", "y")])
    _, _, entries, config = written(name=name)
    assert list(entries["datasets"]) == [name]
    assert config.reports[name].tables == [name]


def test_enough_images_give_a_smaller_share_to_val(written, tmp_path):
    save_to_disk(tmp_path / "mine", image_table([b"%d" % n for n in range(9)], ["x"] * 9, [None] * 9))
    entry = written()[2]["datasets"]["mine"]
    assert entry == {"kind": "huggingface", "source": str(tmp_path / "mine"), "split": {"val": 0.5}}
    names = [f"{number}.png" for number in range(1500)]
    for name in names:
        (tmp_path / "many").mkdir(exist_ok=True)
        (tmp_path / "many" / name).write_bytes(b"x")
    write_captions(tmp_path / "many", [(name, "x") for name in names])
    printed, _, entries, _ = written(tmp_path / "many", "many")
    assert entries["datasets"]["many"]["split"] == {"val": 0.2}
    assert "188 images of a sample of 188 cannot be read" in printed


def test_semicolons_other_columns_and_a_folder_of_images(written, tmp_path):
    mine = tmp_path / "mine"
    write_images(mine / "pictures", ["a.png", "b.png"])
    rows = [("1", "a.png", "a dog in the grass"), ("2", "b.png", "a cat")]
    write_captions(mine, rows, "export.csv", ("nr", "photo", "alt"), sep=";")
    printed, _, entries, config = written()
    assert "images are in column 'photo', captions in 'alt' (guessed: correct `columns` if it is not so)" in printed
    entry = entries["datasets"]["mine"]
    assert {key: entry[key] for key in ("table", "images", "columns")} == {
        "table": "export.csv",
        "images": "pictures",
        "columns": {"image": "photo", "caption": "alt"},
    }
    assert config.datasets["mine"].columns.caption == "alt"


def test_table_with_splits_has_no_shares(written, tmp_path):
    write_images(tmp_path / "mine", ["a.png", "b.png"])
    rows = [("a.png", "x", "val"), ("b.png", "y", "test")]
    write_captions(tmp_path / "mine", rows, columns=("image", "caption", "split"))
    entry = written()[2]["datasets"]["mine"]
    assert entry == {"kind": "table", "source": str(tmp_path / "mine"), "bank": {"split": "val"}}


def test_new_queries_are_answered_in_the_whole_gallery(written, tmp_path):
    write_images(tmp_path / "mine", ["a.png", "b.png"])
    write_captions(tmp_path / "mine", [("a.png", "x"), ("b.png", "y")])
    (tmp_path / "mine/queries.txt").write_text("a dog\na cat\n")
    printed, _, entries, config = written()
    assert config.targets[-1] == "results/answers/mine.csv"
    assert entries["datasets"]["mine-all"] == {"kind": "table", "source": str(tmp_path / "mine")}
    assert config.answers["mine"].queries.location == str(tmp_path / "mine/queries.txt")
    assert config.answers["mine"].model.dataset == "mine-all"


@pytest.mark.parametrize("splits", [(), ("train", "test")])
def test_folders_of_images_are_classes(written, tmp_path, splits):
    for split in splits or ("",):
        write_images(tmp_path / "mine" / split, [f"{kind}/{n}.png" for kind in ("cat", "dog") for n in range(2)])
    printed, _, entries, config = written()
    assert f"{4 * max(len(splits), 1)} images in 2 folders, taken as classes" in printed
    entry = entries["datasets"]["mine"]
    assert entry["files"].get("splits") == ({name: name for name in sorted(splits)} or None)
    assert config.datasets["mine"].split_names() is not None
    assert {"val", "test"} <= {*config.datasets["mine"].split_names()}


def test_embeddings_in_files_of_splits(written, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("val", "test"):
        image = rng.normal(size=(5, 4))
        image[2] = 0
        np.savez(tmp_path / "mine" / f"clip_{name}.npz", image=image, text=rng.normal(size=(5, 4)))
    printed, _, entries, config = written()
    assert "clip_val.npz (val): 5 images, 5 captions, 1 per image; 4 dimensions" in printed
    assert "1 image with an embedding that is zero or not finite" in printed
    entry = entries["datasets"]["mine"]
    assert (entry["on_error"], list(entry["splits"])) == ("skip", ["val", "test"])
    assert config.tables["mine"].posteriors == ["imported"]
    assert set(entries) == {"targets", "datasets", "tables", "figures", "reports"}


def test_one_file_of_embeddings_with_a_log_of_queries(written, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "mine/gallery.npz", image=rng.normal(size=(5, 4)), text=rng.normal(size=(5, 4)))
    np.save(tmp_path / "mine/queries.npy", rng.normal(size=(3, 4)))
    _, _, entries, config = written()
    assert entries["datasets"]["mine"]["split"] == {"val": 0.5}
    assert config.answers["mine"].direction == "t2i"
    entries = written(tmp_path / "mine/gallery.npz", "other")[2]
    assert entries["datasets"]["other"]["splits"] == {"test": str(tmp_path / "mine/gallery.npz")}


def test_saved_data_sets_and_image_folders(written, tmp_path):
    table = image_table([b"a", b"b"], [["x", "y"], ["z"]], [None, None])
    save_splits_to_disk(tmp_path / "mine", {"train": table, "validation": table, "test": table})
    printed, _, entries, _ = written()
    assert "val: 2 rows with an image, 3 captions, 1 to 2 per image (median 1.5)" in printed
    assert entries["datasets"]["mine"]["kind"] == "huggingface"
    write_image_folder(tmp_path / "folder", {"a.png": b"x"}, [{"file_name": "a.png", "text": "x"}], "metadata.jsonl")
    assert written(tmp_path / "folder", "folder")[2]["datasets"]["folder"]["kind"] == "huggingface"


def test_records_of_karpathy(written, tmp_path):
    write_images(tmp_path / "mine/images", ["a.png", "b.png"])
    records = [{"filename": f"{name}.png", "captions": ["x", "y"], "split": split} for name, split in ("av", "bt")]
    names = {"v": "val", "t": "test"}
    lines = [json.dumps(record | {"split": names[record["split"]]}) for record in records]
    (tmp_path / "mine/captions.jsonl").write_text("\n".join(lines))
    printed, _, entries, _ = written()
    assert "test: 1 image, 2 captions, 2 per image" in printed
    assert entries["datasets"]["mine"]["kind"] == "karpathy"


def test_images_alone_are_told_what_to_do(written, tmp_path):
    write_images(tmp_path / "mine", ["a.png", "b.png"])
    (tmp_path / "mine/queries.txt").write_text("a dog\n")
    command = rf"overtop trust --gallery {tmp_path}/mine --queries {tmp_path}/mine/queries\.txt --model"
    with pytest.raises(
        OvertopError, match=rf"2 images, no captions: nothing can be measured .* captions\.csv .*{command}"
    ):
        written()
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "nothing was recognised; looked for images with captions.csv"),
        ({"notes.txt": "hello"}, "nothing was recognised"),
        ({"captions.csv": "image,caption\na.png,x\n"}, r"100 % of its images are missing, such as 'a\.png'"),
    ],
)
def test_folder_without_data_is_one_line_error(written, tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / "mine" / name).write_text(text)
    with pytest.raises(OvertopError, match=message):
        written()


def test_file_that_exists_is_kept(written, tmp_path):
    write_images(tmp_path / "mine", ["a.png"])
    write_captions(tmp_path / "mine", [("a.png", "x")])
    written()
    with pytest.raises(OvertopError, match=r"mine\.yaml exists; remove it, or name another file: -o FILE"):
        written()


def test_name_that_is_no_name_is_rejected(written):
    with pytest.raises(OvertopError, match="--name my data: use letters"):
        written(name="my data")


def test_path_of_the_entries_does_not_depend_on_the_folder_of_the_command(written, tmp_path):
    write_images(tmp_path / "mine", ["a.png"])
    write_captions(tmp_path / "mine", [("a.png", "x")])
    assert written(Path("../mine"))[2]["datasets"]["mine"]["source"] == str(tmp_path / "mine")


def test_make_new_runs_the_command(repo):
    run = subprocess.run(["make", "-n", "new", "DATA=/data/mine", "NAME=x"], cwd=repo, capture_output=True, text=True)
    assert '.venv/bin/overtop init "/data/mine" --name x\n' in run.stdout
