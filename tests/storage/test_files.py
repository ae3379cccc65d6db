import errno
import os
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest

from overtop.errors import OvertopError
from overtop.storage.files import atomic_folder, atomic_path, resolve_inside, write_text


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


KILLED = """
import os, sys
from overtop.storage.files import atomic_folder, atomic_path
with (atomic_folder if sys.argv[2] == "folder" else atomic_path)(sys.argv[1]) as temporary:
    (temporary / "part" if sys.argv[2] == "folder" else temporary).write_text("half")
    os.kill(os.getpid(), 9)
"""

WRITER = """
import sys, time
from pathlib import Path
from overtop.storage.files import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.write_text("slow")
    Path(sys.argv[2]).touch()
    while Path(sys.argv[2]).exists():
        time.sleep(0.01)
"""


def start(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], env=environment)


def test_forked_process_removes_leftovers_of_a_folder_that_its_parent_wrote_into(tmp_path):
    write_text(tmp_path / "a.x", "before")
    start(KILLED, tmp_path / "a.x", "file").wait()
    assert len(list(tmp_path.iterdir())) == 2
    process = os.fork()
    if not process:
        write_text(tmp_path / "a.x", "whole")
        os._exit(0)
    os.waitpid(process, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.x"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_leftover_of_a_killed_process_is_removed_by_the_next_one(tmp_path, kind):
    start(KILLED, tmp_path / "a.x", kind).wait()
    (leftover,) = tmp_path.iterdir()
    assert leftover.name.startswith(".a.")
    write_text(tmp_path / "a.x", "whole")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.x"]


def test_file_of_a_live_process_is_kept_and_both_writers_succeed(tmp_path):
    target, signal = tmp_path / "a.txt", tmp_path / "waits"
    with start(WRITER, target, signal) as writer:
        while not signal.exists():
            assert writer.poll() is None
            time.sleep(0.01)
        write_text(target, "fast")
        assert target.read_text() == "fast"
        signal.unlink()
    assert writer.returncode == 0
    assert target.read_text() == "slow"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("age_hours", "is_kept"), [(1, True), (25, False)])
def test_file_of_another_machine_is_removed_when_it_is_old(tmp_path, age_hours, is_kept):
    foreign = tmp_path / ".a.0123abcd-1-0.tmp.txt"
    foreign.write_text("half")
    os.utime(foreign, (time.time() - 3600 * age_hours,) * 2)
    write_text(tmp_path / "a.txt", "whole")
    assert foreign.exists() == is_kept


def test_hidden_file_of_the_user_is_kept(tmp_path):
    (tmp_path / ".a.tmp.txt").write_text("mine")
    write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / ".a.tmp.txt").read_text() == "mine"


def test_longest_name_of_a_file_is_written(tmp_path):
    write_text(tmp_path / ("a" * 251 + ".txt"), "whole")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


def test_file_and_its_name_are_synced_in_this_order(tmp_path, monkeypatch):
    synced = []

    def fsync(descriptor):
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        synced.append((path, (tmp_path / "a.txt").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "a.txt", "whole")
    (file, renamed_before), (folder, renamed_after) = synced
    assert file.parent == folder == tmp_path
    assert (renamed_before, renamed_after) == (False, True)


def test_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "no sync of folders")

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / "a.txt").read_text() == "whole"


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
    assert (result.returncode, result.stderr) == (0, "")  # HDF5 used to crash when the process ended
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


def test_folder_that_another_process_made_meanwhile_is_replaced(tmp_path):
    with atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "second").write_text("x")
        with atomic_folder(tmp_path / "folder") as other:
            (other / "first").write_text("x")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


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
