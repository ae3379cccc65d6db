import gzip
import io
import tarfile

import pytest

from overtop.datasets.webdataset import Sample, count_shards, parse_captions, parse_label, read_samples
from overtop.errors import OvertopError

TWO_SAMPLES = {"s0.jpg": b"A" * 700, "s0.txt": b"one\ntwo", "s1.json": b"{}", "s1.txt": b"three\n", "s1.PNG": b"B"}


def _write_tar(tmp_path, members, name="0.tar"):
    with tarfile.open(tmp_path / name, "w") as archive:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return tmp_path / name


def test_samples_are_read_in_order_of_the_archive(tmp_path):
    assert list(read_samples(_write_tar(tmp_path, TWO_SAMPLES), "txt")) == [
        Sample("s0.jpg", b"A" * 700, "one\ntwo"),
        Sample("s1.PNG", b"B", "three\n"),
    ]


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "webp"])
def test_image_suffix_is_accepted(tmp_path, suffix):
    (sample,) = read_samples(_write_tar(tmp_path, {f"a/s.{suffix}": b"A", "a/s.txt": b"one"}), "txt")
    assert sample.name == f"a/s.{suffix}"


def test_caption_with_other_line_separators_is_one_caption(tmp_path):
    text = "a\\nb \r\n\n c\u2028d\x85e\n".encode()
    path = _write_tar(tmp_path, {"s.jpg": b"A", "s.txt": text})
    (sample,) = read_samples(path, "txt")
    assert parse_captions(path, sample) == ("a\nb", "c\u2028d\x85e")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"s0.jpg": b"A"}, "sample 's0' has s0.jpg; it needs one image"),
        ({"s0.txt": b"one", "s1.jpg": b"A", "s1.txt": b"two"}, "sample 's0' has s0.txt"),
        ({"s0.jpg": b"A", "s1.jpg": b"A", "s0.txt": b"one", "s1.txt": b"two"}, "sample 's0' has s0.jpg;"),
        ({"s0.jpg": b"A", "s0.png": b"A", "s0.txt": b"one"}, "has s0.jpg, s0.png, s0.txt"),
        ({"s0.jpg": b"A", "s0.txt": b"\n \n"}, "sample 's0.jpg' has no caption"),
        ({"s0.jpg": b"A", "s0.txt": b"\xff"}, "cannot be read"),
        ({"../s0.jpg": b"A", "../s0.txt": b"one"}, "'../s0.jpg' points outside"),
        ({"/s0.jpg": b"A", "/s0.txt": b"one"}, "'/s0.jpg' points outside"),
    ],
)
def test_invalid_sample_is_one_line_error(tmp_path, members, message):
    with pytest.raises(OvertopError, match=message):
        [parse_captions(tmp_path / "0.tar", sample) for sample in read_samples(_write_tar(tmp_path, members), "txt")]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_rejected(tmp_path, kind):
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        info = tarfile.TarInfo("s0.jpg")
        info.type, info.linkname = kind, "/etc/hostname"
        archive.addfile(info)
    with pytest.raises(OvertopError, match=r"0\.tar: member 's0\.jpg' is neither file nor folder"):
        list(read_samples(tmp_path / "0.tar", "txt"))


def test_shard_with_only_a_folder_has_no_samples(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        info = tarfile.TarInfo("folder")
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    assert list(read_samples(tmp_path / "0.tar", "txt")) == []


@pytest.mark.parametrize("length", [100, 512, 900, 1536, 2048, 2500, 3000, 3072])
def test_shard_truncated_at_any_length_is_rejected(tmp_path, length):
    """Members of s0 end at 2560 (header, 700 bytes in two blocks, header, one block), those of s1 after 4096."""
    path = _write_tar(tmp_path, TWO_SAMPLES)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(OvertopError, match=r"0\.tar: .*(damaged|get it again)"):
        list(read_samples(path, "txt"))


def test_shard_with_damaged_header_is_rejected(tmp_path):
    path = _write_tar(tmp_path, TWO_SAMPLES)
    content = bytearray(path.read_bytes())
    content[2560 + 148] ^= 0xFF  # the checksum of s1's first header
    path.write_bytes(content)
    with pytest.raises(OvertopError, match=r"0\.tar: truncated after s0\.txt"):
        list(read_samples(path, "txt"))


@pytest.mark.parametrize(
    "content", [b"", b"<html>sign in</html>", gzip.compress(bytes(2000))], ids=["empty", "html", "gzip"]
)
def test_file_that_is_not_a_tar_archive_is_rejected(tmp_path, content):
    (tmp_path / "0.tar").write_bytes(content)
    with pytest.raises(OvertopError, match=r"0\.tar: "):
        list(read_samples(tmp_path / "0.tar", "txt"))


def test_number_of_shards_is_read_or_rejected(tmp_path):
    path = tmp_path / "nshards.txt"
    path.write_text("14\n")
    assert count_shards(path) == 14
    for text in ("", "0", "-1", "five", "5\n5", "1.0", "<html>"):
        path.write_text(text)
        with pytest.raises(OvertopError, match=r"nshards\.txt: .* is not a number of shards; get the file again"):
            count_shards(path)


@pytest.mark.parametrize("text", ["0", " 7\n", "9"])
def test_label_is_the_class_number(tmp_path, text):
    path = _write_tar(tmp_path, {"s.jpg": b"A", "s.cls": text.encode(), "s.txt": b"a caption, ignored"})
    (sample,) = read_samples(path, "cls")
    assert parse_label(path, sample, 10) == int(text)


@pytest.mark.parametrize("text", ["10", "-1", "", "dog", "1.0", "\u0663", "1 2"])
def test_label_that_is_no_class_number_is_rejected(tmp_path, text):
    path = _write_tar(tmp_path, {"s.jpg": b"A", "s.cls": text.encode()})
    (sample,) = read_samples(path, "cls")
    with pytest.raises(OvertopError, match=r"0\.tar: the label of sample 's\.jpg' is '.*', not a number from 0 to 9"):
        parse_label(path, sample, 10)
