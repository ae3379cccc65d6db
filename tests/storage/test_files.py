import json
import os
import subprocess
import sys
import textwrap
from contextlib import suppress

import pandas as pd
import pytest

from overtop.errors import OvertopError
from overtop.storage.files import (
    atomic_folder,
    atomic_path,
    read_table_metadata,
    resolve_inside,
    sha256,
    write_json,
    write_table,
    write_text,
)


def test_file_exists_only_after_successful_write(tmp_path):
    target = tmp_path / "deep" / "a.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.suffix == ".txt"
    assert target.read_text() == "half"
    assert list(target.parent.iterdir()) == [target]


def test_failed_write_leaves_previous_file_and_no_temporary(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with suppress(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_temporary_of_killed_process_is_removed_by_next_write(tmp_path):
    code = "import os, sys; from overtop.storage.files import atomic_path\nwith atomic_path(sys.argv[1]) as t:\n"
    code += "    t.write_text('half'); os.kill(os.getpid(), 9)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    target = tmp_path / "a.txt"
    subprocess.run([sys.executable, "-c", code, str(target)], env=environment, check=False)
    assert not target.exists()
    assert len(list(tmp_path.iterdir())) == 1
    write_text(target, "whole")
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_is_one_line_error(tmp_path):
    """Exceeds a real file size limit, in a separate process."""
    code = textwrap.dedent(
        """
        import resource, signal, sys
        import numpy as np
        from overtop.errors import OvertopError
        from overtop.storage.shards import write_shard
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_shard(sys.argv[1], np.ones((1, 1000, 512), np.float32), [str(i) for i in range(1000)],
                        np.ones(1000, bool), {})
        except OvertopError as error:
            print(error)
        """
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s.h5")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert "no space left" in result.stdout, result.stderr
    assert "s.h5" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_folder_is_replaced_as_a_whole(tmp_path):
    for name in ("first", "second"):
        with atomic_folder(tmp_path / "folder") as temporary:
            (temporary / name).write_text(name)
            assert not (tmp_path / "folder" / name).exists()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_failed_write_of_a_folder_leaves_the_previous_one_and_nothing_else(tmp_path):
    with atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "a").write_text("before")
    with suppress(ValueError), atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "a").write_text("incomplete")
        raise ValueError
    assert (tmp_path / "folder" / "a").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_leftover_folders_of_a_killed_process_are_removed_by_the_next_write(tmp_path):
    for leftover in (".folder.tmp", ".folder.former"):
        (tmp_path / leftover).mkdir()
        (tmp_path / leftover / "part").write_text("incomplete")
    with atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "a").write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["a"]


def test_tables_and_metadata_after_round_trip_are_equal(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    write_table(tmp_path / "t.parquet", frame, {"posterior": "ensemble"})
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), frame)
    assert read_table_metadata(tmp_path / "t.parquet") == {"posterior": "ensemble"}
    write_table(tmp_path / "t.csv", frame)
    assert (tmp_path / "t.csv").read_bytes() == b"a,b\n1,x\n2,y\n"


def test_same_json_gives_same_bytes(tmp_path):
    for name in ("1.json", "2.json"):
        write_json(tmp_path / name, {"b": 1, "a": [1.5]})
    assert sha256(tmp_path / "1.json") == sha256(tmp_path / "2.json")
    assert json.loads((tmp_path / "1.json").read_text()) == {"a": [1.5], "b": 1}


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x"])
def test_path_outside_folder_is_rejected(tmp_path, path):
    with pytest.raises(OvertopError, match="outside"):
        resolve_inside(tmp_path, path)


def test_symbolic_link_out_of_folder_is_rejected(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    with pytest.raises(OvertopError, match="outside"):
        resolve_inside(tmp_path / "in", "link/x")
    assert resolve_inside(tmp_path / "in", "a/b") == tmp_path / "in" / "a" / "b"
