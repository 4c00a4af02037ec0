"""Archives that were made to do harm."""

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tests.data.test_celeb_a import write_celeb_a
from tfp_priors.data import archives
from tfp_priors.data import celeb_a
from tfp_priors.data.prepare import prepare
from tfp_priors.errors import UserError
from tfp_priors.evaluation.images import from_folder

LIMITS = archives.Limits(members=5, member_bytes=2**20, total_bytes=2**21)
FOLDER = "cifar-10-batches-bin"


@pytest.fixture(autouse=True)
def quiet():
    tfds.disable_progress_bar()


def below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# Tar ---------------------------------------------------------------------------


def plain(name, content=b"x"):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def write_tar(path, *members, mode="w:gz", **kwargs):
    with tarfile.open(path, mode, **kwargs) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


BAD_MEMBERS = {
    "above": (plain("../escaped"), "outside of the archive's own folder"),
    "above inside": (plain(f"{FOLDER}/../../escaped"), "outside of the archive's own"),
    "absolute": (plain("/tmp/escaped"), "outside of the archive's own folder"),
    "symbolic link": (special("escaped", tarfile.SYMTYPE, "/etc"), "is a link or"),
    "inner link": (special("escaped", tarfile.SYMTYPE, "test_batch.bin"), "is a link"),
    "hard link": (special("escaped", tarfile.LNKTYPE, "/etc/passwd"), "is a link or"),
    "device": (special("escaped", tarfile.CHRTYPE), "is a link or a device"),
    "pipe": (special("escaped", tarfile.FIFOTYPE), "is a link or a device"),
}


@pytest.mark.parametrize("kind", BAD_MEMBERS)
def test_a_member_of_a_tar_archive_that_leaves_it_is_named(tmp_path, kind):
    source = tmp_path / "source"
    source.mkdir()
    member, what = BAD_MEMBERS[kind]
    write_tar(source / "cifar-10-binary.tar.gz", plain(f"{FOLDER}/a.bin"), member)
    with pytest.raises(UserError, match=f"The member '.*escaped' of .*gz .*{what}"):
        prepare("cifar10", source, str(tmp_path / "data"))
    assert not [name for name in below(tmp_path) if "escaped" in name]
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


def test_a_link_cannot_be_written_through(tmp_path):
    path = write_tar(
        tmp_path / "a.tar.gz",
        special("door", tarfile.SYMTYPE, str(tmp_path)),
        plain("door/escaped"),
    )
    with pytest.raises(UserError, match="The member 'door' of .* is a link"):
        archives.untar(path, tmp_path / "out", LIMITS)
    assert below(tmp_path) == {"a.tar.gz"}


def test_a_large_member_is_refused_before_it_is_written(tmp_path):
    out = tmp_path / "out"
    path = write_tar(tmp_path / "a.tar.gz", plain("zeros", bytes(2**20 + 1)))
    assert path.stat().st_size < 4096
    with pytest.raises(UserError, match="'zeros' of .* has 1048577 bytes, more than"):
        archives.untar(path, out, LIMITS)
    assert not out.exists()


def test_many_members_are_refused(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", *(plain(str(i)) for i in range(6)))
    with pytest.raises(UserError, match="has more than 5 members"):
        archives.untar(path, tmp_path / "out", LIMITS)
    parts = (plain(str(i), bytes(2**20)) for i in range(3))
    path = write_tar(tmp_path / "a.tar.gz", *parts)
    with pytest.raises(UserError, match="unpacks to more than 2097152 bytes"):
        archives.untar(path, tmp_path / "out", LIMITS)


def test_a_header_that_unpacks_to_much_is_refused(tmp_path):
    info, content = plain("a")
    info.pax_headers = {"comment": "0" * 2**23}
    path = write_tar(tmp_path / "a.tar.gz", (info, content), format=tarfile.PAX_FORMAT)
    with pytest.raises(UserError, match="unpacks to more than 2097152 bytes"):
        archives.untar(path, tmp_path / "out", LIMITS)


def test_a_member_with_holes_counts_whole(tmp_path):
    # In GNU's format: 512 bytes of data, said to be 1 TB with the hole before them.
    info, content = plain("holes", bytes(512))
    info.type = tarfile.GNUTYPE_SPARSE
    path = write_tar(tmp_path / "a.tar", (info, content), mode="w")
    data = bytearray(path.read_bytes())
    data[386:410] = b"%011o\0%011o\0" % (0, 512)
    data[483:495] = b"\x80" + (2**40).to_bytes(11, "big")
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"'holes' of .* has {2**40} bytes"):
        archives.untar(path, tmp_path / "out", LIMITS)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_good_tar_archive(tmp_path, mode):
    folder, _ = special("a", tarfile.DIRTYPE)
    members = (plain("a/b.bin", b"b"), plain("./c", b"c"))
    path = write_tar(tmp_path / "a.tar.gz", (folder, b""), *members, mode=mode)
    archives.untar(path, tmp_path / "out", LIMITS)
    assert (tmp_path / "out" / "a" / "b.bin").read_bytes() == b"b"
    assert (tmp_path / "out" / "c").read_bytes() == b"c"


def test_a_damaged_tar_archive(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", plain("a", np.random.bytes(2**16)))
    content = bytearray(path.read_bytes())
    for damaged in (content[:-9000], content[:300] + bytes(9000), b"text"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="a.tar.gz is damaged"):
            archives.untar(path, tmp_path / "out", LIMITS)


# Gzip --------------------------------------------------------------------------


def test_a_gzip_file_is_unpacked_to_its_limit_only(tmp_path):
    path, target = tmp_path / "a.gz", tmp_path / "a"
    path.write_bytes(gzip.compress(bytes(1000)))
    archives.gunzip(path, target, 1000)
    assert target.read_bytes() == bytes(1000)
    path.write_bytes(gzip.compress(bytes(2**26)))
    with pytest.raises(UserError, match="a.gz unpacks to more than the 1000 bytes"):
        archives.gunzip(path, target, 1000)
    assert target.stat().st_size <= 1000


def test_a_bomb_in_place_of_mnist(tmp_path):
    bomb = gzip.compress(bytes(2**26))
    for name in ("images-idx3", "labels-idx1"):
        for part in ("train", "t10k"):
            (tmp_path / f"{part}-{name}-ubyte.gz").write_bytes(bomb)
    with pytest.raises(UserError, match=r"ubyte.gz unpacks to more than the \d+ bytes"):
        prepare("mnist", tmp_path, str(tmp_path / "data"))


# Zip ---------------------------------------------------------------------------


def add(path, name, content=b"x", attributes=0):
    info = zipfile.ZipInfo(name)
    info.external_attr = attributes << 16
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(info, content, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    ("name", "attributes", "content", "message"),
    [
        ("../escaped.jpg", 0, b"x", "lies outside of the archive's own folder"),
        ("/tmp/escaped.jpg", 0, b"x", "lies outside of the archive's own folder"),
        ("img/../../escaped.jpg", 0, b"x", "lies outside of the archive's own"),
        ("escaped.jpg", 0o120777, b"/etc/passwd", "is a link or a device"),
        ("escaped.jpg", 0o020666, b"", "is a link or a device"),
        ("escaped.jpg", 0o100644, bytes(2**24), "has 16777216 bytes, more than the"),
    ],
)
def test_a_member_of_a_zip_archive_that_does_harm_is_named(
    tmp_path, name, attributes, content, message
):
    write_celeb_a(tmp_path)
    add(tmp_path / "img_align_celeba.zip", name, content, attributes)
    with pytest.raises(UserError, match=f"The member '.*escaped.jpg' of .*{message}"):
        prepare("celeb_a", tmp_path, str(tmp_path / "data"))
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


def test_a_zip_archive_of_many_or_large_members(tmp_path):
    path = tmp_path / "a.zip"
    for i in range(6):
        add(path, str(i), bytes(2**19))
    with zipfile.ZipFile(path) as archive:
        for limits, message in (
            (LIMITS, "unpacks to more than 2097152 bytes"),
            (LIMITS._replace(total_bytes=2**30), "has more than 5 members"),
        ):
            with pytest.raises(UserError, match=message):
                list(archives.zip_members(path, archive, limits))


def test_no_more_is_unpacked_than_a_size_that_lies(tmp_path):
    path = tmp_path / "img_align_celeba.zip"
    add(path, "a.jpg", bytes(2**24))
    size = struct.pack("<I", 2**24)
    # Both headers say 100 bytes in place of 16 MiB.
    path.write_bytes(path.read_bytes().replace(size, struct.pack("<I", 100)))
    tracemalloc.start()
    names, damaged = celeb_a._pictures(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert names == {"a.jpg"} and damaged == ["a.jpg"]
    assert peak < 2**20


# Pictures ----------------------------------------------------------------------


def png(width, height):
    """A PNG file that says how large it is, and has no pixels."""

    def chunk(kind, data):
        sum_ = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", sum_)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


def jpeg(width, height):
    """A JPEG file of 1 x 1 pixels that says it has more."""
    data = io.BytesIO()
    Image.new("RGB", (1, 1)).save(data, "JPEG")
    content = bytearray(data.getvalue())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(content)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((65500, 65500), "exceeds limit of .* pixels"),
        ((10_000, 10_000), "exceeds limit of .* pixels"),
        ((300, 218), "has 300 x 218 pixels: expected 178 x 218"),
    ],
)
def test_a_large_picture_of_celeb_a_is_not_decoded(tmp_path, size, message):
    write_celeb_a(tmp_path)
    add(tmp_path / "img_align_celeba.zip", "img_align_celeba/000007.jpg", jpeg(*size))
    with pytest.raises(UserError, match=f"000007.jpg in .*zip .*{message}"):
        prepare("celeb_a", tmp_path, str(tmp_path / "data"))


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((50_000, 50_000), "more than 256 million pixels"),
        ((10_000, 10_000), "has 10000x10000 pixels, the data set 4x4"),
        ((5_000, 5_000), "has 5000x5000 pixels, the data set 4x4"),
    ],
)
def test_a_large_picture_that_is_measured_is_not_decoded(tmp_path, size, message):
    (tmp_path / "a.png").write_bytes(png(*size))
    with pytest.raises(UserError, match=message):
        list(from_folder(tmp_path, (4, 4, 1)))
