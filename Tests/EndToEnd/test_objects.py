"""The bucket beside the mount: plain objects, changes made elsewhere, keys that no path can show."""
import errno
import os
import stat

import pytest

from buckets import LocalBucket
from pail import run, wait_until


@pytest.mark.on("local", "ministack", "seaweedfs", "rclone")
def test_files_are_plain_objects(mount, bucket):
    (mount.path / "docs").mkdir()
    (mount.path / "docs/readme.txt").write_text("plain\n")
    (mount.path / "photo.jpg").write_bytes(bytes(range(256)) * 100)
    (mount.path / "empty").touch()
    mount.flush()
    assert bucket.get("docs/readme.txt") == b"plain\n"
    assert bucket.get("photo.jpg") == bytes(range(256)) * 100
    assert bucket.keys() == {"docs/readme.txt": 6, "photo.jpg": 25600, "empty": 0}
    os.rename(mount.path / "docs", mount.path / "texts")
    (mount.path / "photo.jpg").unlink()
    mount.flush()
    assert bucket.keys() == {"texts/readme.txt": 6, "empty": 0}
    mount.remount(empty_cache=True)
    assert (mount.path / "texts/readme.txt").read_text() == "plain\n"
    # SeaweedFS lists empty prefixes for a minute more.
    assert sorted(set(os.listdir(mount.path)) - ({"docs"} if bucket.kind == "seaweedfs" else set())) == ["empty", "texts"]


@pytest.mark.on("local", "ministack", "seaweedfs", "rclone")
def test_objects_of_others_appear(mounts, bucket):
    bucket.put("a/b/c.txt", b"deep")
    bucket.put("top", b"1")
    mount = mounts(bucket)
    assert (mount.path / "a/b/c.txt").read_bytes() == b"deep"
    assert sorted(os.listdir(mount.path)) == ["a", "top"]
    assert stat.S_ISDIR((mount.path / "a").stat().st_mode)


@pytest.mark.on("ministack")
def test_attributes_of_others_are_understood(mounts, bucket):
    bucket.put("s3fs", b"x", {"mode": str(0o100640), "uid": "12", "gid": "34", "mtime": "1600000000.123456789"})
    bucket.put("rclone", b"x", {"mtime": "1500000000.5"})
    mount = mounts(bucket)
    status = (mount.path / "s3fs").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o640, 12, 34)
    assert status.st_mtime_ns == 1_600_000_000_123_456_789
    assert (mount.path / "rclone").stat().st_mtime == 1500000000.5


@pytest.mark.on("ministack")
def test_attributes_are_written_as_s3fs_does(mount, bucket):
    path = mount.path / "a"
    path.write_text("x")
    path.chmod(0o640)
    os.utime(path, ns=(0, 1_600_000_000_000_000_001))
    mount.flush()
    metadata = bucket.metadata("a")
    assert metadata["mode"] == str(0o100640) and metadata["mtime"] == "1600000000.000000001"


@pytest.mark.on("local", "ministack", "seaweedfs", "rclone")
def test_changes_of_others_show_within_the_refresh_time(mount, bucket):
    path = mount.path / "a"
    path.write_text("mine")
    mount.flush()
    bucket.put("a", b"theirs, longer")
    wait_until(lambda: path.read_bytes() == b"theirs, longer", 10, "the change")
    bucket.put("new", b"n")
    wait_until(lambda: "new" in os.listdir(mount.path), 10, "the new object")
    bucket.delete("a")
    wait_until(lambda: not path.exists(), 10, "the deletion")


@pytest.mark.on("local", "ministack", "seaweedfs")
def test_a_conflict_keeps_both(mounts, bucket):
    bucket.put("doc.txt", b"first")
    mount = mounts(bucket, "--upload-delay", "4s")
    path = mount.path / "doc.txt"
    assert path.read_bytes() == b"first"
    path.write_bytes(b"mine")
    bucket.put("doc.txt", b"theirs")
    mount.flush()
    found = {key: bucket.get(key) for key in bucket.keys()}
    assert found.pop("doc.txt") == b"theirs"
    assert list(found.values()) == [b"mine"], found
    copy = next(iter(found))
    assert "conflict" in copy.lower() and copy.startswith("doc"), copy
    wait_until(lambda: sorted(os.listdir(mount.path)) == sorted(["doc.txt", copy]), 10, "both names on the mount")
    assert (mount.path / copy).read_bytes() == b"mine"
    wait_until(lambda: path.read_bytes() == b"theirs", 10, "the other's version")


def reads(path, content):
    """Whether the file has this content; one who opened the old version just before it went gets ESTALE."""
    try:
        return path.read_bytes() == content
    except OSError as error:
        assert error.errno == errno.ESTALE
        return False


@pytest.mark.on("local", "ministack")
def test_an_open_file_keeps_its_version(mounts, bucket):
    old, new = b"o" * 300_000, b"n" * 300_000
    bucket.put("a", old)
    mount = mounts(bucket)
    with open(mount.path / "a", "rb", buffering=0) as file:
        assert file.read(10) == old[:10]
        bucket.put("a", new)
        wait_until(lambda: reads(mount.path / "a", new), 10, "the new version")
        try:
            rest = b"".join(iter(lambda: file.read(100_000), b""))
        except OSError as error:
            # What was not read yet is gone with the version: that is said, not made up.
            assert error.errno == errno.ESTALE
            return
        assert set(rest) == {ord("o")} or set(rest) == {ord("n")} or not rest, "two versions in one read"


@pytest.mark.on("ministack")
def test_odd_keys_are_shown_and_kept(mounts, bucket):
    odd = ["a//b", "/lead", "dots/./x", "dots/../y", "both", "both/below", "long/" + "x" * 300, "marker/", "tail//"]
    for number, key in enumerate(odd):
        bucket.put(key, f"odd {number}".encode() if not key.endswith("/") else b"")
    mount = mounts(bucket)
    contents = set()
    for folder, _, files in os.walk(mount.path):
        contents |= {open(os.path.join(folder, name), "rb").read() for name in files}
    expected = {f"odd {number}".encode() for number, key in enumerate(odd) if not key.endswith("/")}
    assert expected <= contents, expected - contents
    (mount.path / "new").write_text("n")
    mount.umount()
    left = bucket.all_keys()
    assert [key for key in odd if key not in left] == []


@pytest.mark.on("local", "ministack")
def test_read_only(mounts, bucket):
    bucket.put("a", b"x")
    mount = mounts(bucket, "--read-only")
    assert (mount.path / "a").read_bytes() == b"x"
    for attempt in ("touch a", "touch new", "rm a", "mkdir d", "mv a b", "ln a b", "chmod 600 a"):
        result = run("sh", "-c", attempt, cwd=mount.path, check=False)
        assert result.returncode != 0 and "Read-only" in result.stderr, attempt
    mount.umount()
    assert bucket.keys() == {"a": 1}


@pytest.mark.on("ministack")
def test_prefix(mounts, bucket):
    bucket.put("in/a", b"a")
    bucket.put("out", b"o")
    part = bucket.through(bucket.endpoint)
    part.address = f"s3://{bucket.name}/in"
    mount = mounts(part)
    assert os.listdir(mount.path) == ["a"]
    (mount.path / "b").write_text("b")
    mount.umount()
    assert bucket.keys() == {"in/a": 1, "in/b": 1, "out": 1}


def test_two_mounts_of_one_bucket(mounts, place):
    bucket = LocalBucket(place / "bucket")
    first, second = mounts(bucket), mounts(bucket)
    (first.path / "a").write_text("from the first")
    first.flush()
    wait_until(lambda: (second.path / "a").exists(), 10, "the file on the second mount")
    assert (second.path / "a").read_text() == "from the first"


def test_listings_that_the_kernel_keeps(mounts, bucket):
    mount = mounts(bucket, "--refresh", "1s", "--upload-delay", "100ms")
    for number in range(50):
        (mount.path / f"f{number}").write_bytes(b"")
    for number in range(50):
        assert len(os.listdir(mount.path)) == 50
        (mount.path / "new").write_bytes(b"x")
        assert "new" in os.listdir(mount.path)
        os.rename(mount.path / "new", mount.path / "newer")
        assert "newer" in os.listdir(mount.path) and "new" not in os.listdir(mount.path)
        os.unlink(mount.path / "newer")
        assert "newer" not in os.listdir(mount.path)
    mount.flush()
    # What others do shows, however often it is read meanwhile.
    bucket.put("theirs", b"y")
    wait_until(lambda: "theirs" in os.listdir(mount.path), 10, "a new name")
    bucket.delete("theirs")
    wait_until(lambda: "theirs" not in os.listdir(mount.path), 10, "a name that went")
