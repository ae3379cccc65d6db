from types import SimpleNamespace

import pytest

from overtop.datasets.source_records import FetchRequest, write_source_record
from overtop.errors import OvertopError
from overtop.pipeline.raw_files import ensure_files


def test_file_is_restored_from_the_mirror_of_the_configuration(tmp_path, monkeypatch):
    monkeypatch.delenv("OVERTOP_MIRROR", raising=False)
    (tmp_path / "mirror" / "photos").mkdir(parents=True)
    (tmp_path / "mirror" / "photos" / "a.jpg").write_bytes(b"a")
    data, record = tmp_path / "data", tmp_path / "record.json"
    spec = {"kind": "images", "source": "photos"}
    request = FetchRequest.model_validate({"dataset": "x", "split": "all", "spec": spec, "sources": {}, "seed": 0})
    raw = request.raw_folder(data)
    request.fetch(raw, data, str(tmp_path / "mirror"))
    write_source_record(record, request, raw)
    (raw / "images" / "a.jpg").unlink()
    job = SimpleNamespace(params=SimpleNamespace(data=str(data)), config={})
    with pytest.raises(OvertopError, match="cannot be fetched again: .* no mirror is set"):
        ensure_files(job, record, ["raw/x/all/images/a.jpg"])
    monkeypatch.setenv("OVERTOP_MIRROR", str(tmp_path / "mirror"))
    ensure_files(job, record, ["raw/x/all/images/a.jpg"])
    assert (raw / "images" / "a.jpg").read_bytes() == b"a"
    (raw / "images" / "a.jpg").unlink()
    monkeypatch.delenv("OVERTOP_MIRROR")
    ensure_files(SimpleNamespace(params=job.params, config={"mirror": str(tmp_path / "mirror")}), record)
    assert (raw / "images" / "a.jpg").read_bytes() == b"a"
