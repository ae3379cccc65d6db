import pytest

from overtop.config.datasets import ShapesDataset
from overtop.datasets.source_records import FetchRequest, read_source_record, write_source_record
from overtop.downloads.digests import Digest
from overtop.errors import OvertopError
from overtop.storage.json_files import read_json, write_json

SPEC = {"kind": "shapes", "images": {"test": 3}, "image_size": 16}


def make_request(**changes):
    values = {"dataset": "tiny", "split": "test", "spec": SPEC, "sources": {}, "seed": 0}
    return FetchRequest.model_validate(values | changes)


def test_record_has_every_file_and_the_request(tmp_path):
    request = make_request()
    raw = request.raw_folder(tmp_path)
    request.fetch(raw, tmp_path, None)
    (raw / ".hidden.jpg").write_bytes(b"abc")
    write_source_record(tmp_path / "record.json", request, raw)
    record = read_source_record(tmp_path / "record.json")
    assert record.request == request
    assert isinstance(record.request.spec, ShapesDataset)
    assert set(record.files) == {"shapes.json", ".hidden.jpg", *(f"test-{number:05d}.png" for number in range(3))}
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert record.files[".hidden.jpg"] == Digest(3, sha256)


def test_record_has_only_the_given_keys_of_an_entry(tmp_path):
    """So that a new key with a default changes no record."""
    write_source_record(tmp_path / "record.json", make_request(), tmp_path / "raw")
    assert read_json(tmp_path / "record.json")["request"]["spec"] == SPEC


@pytest.mark.parametrize(
    "content",
    [{}, {"request": 1, "files": {}}, {"request": {"dataset": "x"}, "files": {"a": {"bytes": 1}}}],
)
def test_record_of_another_version_is_one_line_error(tmp_path, content):
    write_json(tmp_path / "record.json", content)
    with pytest.raises(OvertopError, match="record.json: is no record of fetched files") as caught:
        read_source_record(tmp_path / "record.json")
    assert "\n" not in str(caught.value)


def test_record_that_leads_outside_the_data_folder_is_one_line_error(tmp_path):
    write_source_record(tmp_path / "record.json", make_request(), tmp_path / "raw")
    values = read_json(tmp_path / "record.json")
    values["request"]["dataset"] = "../../mine"
    write_json(tmp_path / "record.json", values)
    with pytest.raises(OvertopError, match="record.json: is no record of fetched files"):
        read_source_record(tmp_path / "record.json")


def test_missing_record_is_one_line_error(tmp_path):
    with pytest.raises(OvertopError, match="record.json: no such file"):
        read_source_record(tmp_path / "record.json")


def test_damaged_record_is_one_line_error(tmp_path):
    write_source_record(tmp_path / "record.json", make_request(), tmp_path / "raw")
    text = (tmp_path / "record.json").read_text()
    (tmp_path / "record.json").write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(OvertopError, match="record.json: content differs from its digest"):
        read_source_record(tmp_path / "record.json")
