"""Attributes are in the bucket: they survive an empty cache, and s3fs and rclone see the same."""
import json
import os
import shutil
import socket
import stat
from pathlib import Path

import pytest

from others import RCLONE, rclone, s3fs
from pail import wait_until

NANOSECONDS = 1_234_567_890_123_456_789


def describe(path):
    """What stat shows of a path, without what differs between mounts, and what else belongs to it."""
    status = path.lstat()
    seen = {
        "mode": oct(status.st_mode), "owner": (status.st_uid, status.st_gid), "modified": status.st_mtime_ns,
        "changed": status.st_ctime_ns, "device": status.st_rdev,
    }
    if not stat.S_ISLNK(status.st_mode):
        seen["accessed"] = status.st_atime_ns
        seen["xattrs"] = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    if not stat.S_ISDIR(status.st_mode):
        seen["size"] = status.st_size
    if stat.S_ISLNK(status.st_mode):
        seen["target"] = os.readlink(path)
    return seen


def make_everything(top):
    (top / "file").write_text("content")
    (top / "script").write_text("#!/bin/sh\n")
    os.chmod(top / "script", 0o6755)
    os.symlink("file", top / "link")
    os.symlink("no/where/" + "x" * 3000, top / "far")
    os.mkfifo(top / "pipe", 0o640)
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(top / "disk", stat.S_IFBLK | 0o600, os.makedev(8, 17))
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(top)
        listener.bind("socket")
        os.chdir("/")
    (top / "sticky").mkdir(mode=0o755)
    os.chmod(top / "sticky", 0o3777)
    (top / "sticky/empty").mkdir(mode=0o700)
    (top / "sticky/inner").write_bytes(b"")
    os.setxattr(top / "file", "user.colour", b"green\0\xff")
    os.setxattr(top / "file", "user.none", b"")
    os.setxattr(top / "sticky", "user.kind", b"directory")
    os.chown(top / "file", 12, 34)
    os.lchown(top / "link", 56, 78)
    os.chown(top / "sticky/empty", 4_000_000_000, 5)
    os.utime(top / "file", ns=(1, NANOSECONDS))
    os.utime(top / "link", ns=(NANOSECONDS, 2), follow_symlinks=False)
    os.utime(top / "sticky/inner", ns=(-1_500_000_000, -NANOSECONDS))
    os.utime(top / "sticky/empty", ns=(3, NANOSECONDS))


@pytest.mark.root
def test_all_attributes_survive(mounts, bucket):
    mount = mounts(bucket)
    make_everything(mount.path)
    paths = sorted(path.relative_to(mount.path) for path in mount.path.rglob("*"))
    assert len(paths) == 11
    before = {path: describe(mount.path / path) for path in paths}
    mount.flush()
    other = mounts(bucket)
    assert {path: describe(other.path / path) for path in paths} == before
    mount.remount()
    assert {path: describe(mount.path / path) for path in paths} == before
    os.rename(mount.path / "sticky", mount.path / "moved")
    os.rename(mount.path / "moved", mount.path / "sticky")
    mount.remount(empty_cache=True)
    found = {path: describe(mount.path / path) for path in paths}
    moved = Path("sticky")
    # There and back is no change for the bucket.
    found[moved]["changed"] = before[moved]["changed"]
    assert found == before
    (mount.path / "sticky/later").touch()
    before = (mount.path / "sticky").stat().st_mtime_ns
    mount.remount(empty_cache=True)
    assert (mount.path / "sticky").stat().st_mtime_ns == before, "a directory's time follows its entries"


@pytest.mark.on("ministack")
def test_a_move_keeps_what_nobody_looked_at(mounts, bucket):
    theirs = {"mode": str(0o100640), "uid": "12", "mtime": "1600000000.123456789"}
    bucket.put("d/e/file", b"x", theirs)
    bucket.put("d/link", b"file", {"mode": str(0o120777)})
    mount = mounts(bucket)
    os.rename(mount.path / "d", mount.path / "new")
    mount.flush()
    found = bucket.metadata("new/e/file")
    assert {name: found[name] for name in theirs} == theirs
    assert os.readlink(mount.path / "new/link") == "file"


def seen(path):
    """What both mounters agree on: s3fs keeps no device numbers and has its own idea of ctime."""
    found = describe(path)
    kept = {name: found[name] for name in ("mode", "owner", "modified", "target", "size", "xattrs") if name in found}
    return kept


def make_shared(top):
    (top / "plain").write_text("content")
    (top / "script").write_text("#!/bin/sh\n")
    os.chmod(top / "script", 0o4750)
    os.chown(top / "plain", 12, 34)
    os.symlink("dir/inner", top / "link")
    (top / "dir").mkdir()
    (top / "dir/inner").write_text("inner")
    os.chmod(top / "dir", 0o2750)
    os.mkfifo(top / "pipe", 0o640)
    (top / "empty").mkdir(mode=0o700)
    os.setxattr(top / "plain", "user.colour", b"green\xff")
    os.utime(top / "plain", ns=(NANOSECONDS, NANOSECONDS))
    os.utime(top / "empty", ns=(NANOSECONDS, NANOSECONDS))


@pytest.mark.root
@pytest.mark.skipif(not shutil.which("s3fs"), reason="needs s3fs")
@pytest.mark.on("ministack", "seaweedfs")
def test_s3fs_sees_our_attributes(mount, bucket, place):
    make_shared(mount.path)
    paths = sorted(path.relative_to(mount.path) for path in mount.path.rglob("*"))
    mount.flush()
    ours = {path: seen(mount.path / path) for path in paths}
    if bucket.kind == "seaweedfs":
        # It keeps nothing of directories' objects.
        paths = [path for path in paths if not (mount.path / path).is_dir()]
        ours = {path: ours[path] for path in paths}
    with s3fs(bucket, place) as there:
        assert {path: seen(there / path) for path in paths} == ours
        assert (there / "link").read_text() == "inner"


@pytest.mark.root
@pytest.mark.skipif(not shutil.which("s3fs"), reason="needs s3fs")
@pytest.mark.on("ministack")
def test_we_see_what_s3fs_writes(mounts, bucket, place):
    with s3fs(bucket, place) as there:
        make_shared(there)
        paths = sorted(path.relative_to(there) for path in there.rglob("*"))
        theirs = {path: seen(there / path) for path in paths}
    mount = mounts(bucket)
    assert {path: seen(mount.path / path) for path in paths} == theirs
    assert (mount.path / "link").read_text() == "inner"
    os.chmod(mount.path / "plain", 0o600)
    mount.flush()
    with s3fs(bucket, place) as there:
        assert stat.S_IMODE((there / "plain").stat().st_mode) == 0o600
        assert (there / "plain").stat().st_mtime_ns == NANOSECONDS


@pytest.mark.skipif(not RCLONE.exists(), reason="needs scripts/with-servers rclone")
@pytest.mark.on("ministack", "seaweedfs")
def test_rclone_and_we_agree_on_times(mount, bucket, place):
    source = place / "source"
    source.mkdir()
    (source / "theirs").write_text("from rclone")
    os.utime(source / "theirs", ns=(0, NANOSECONDS))
    rclone(bucket, "copy", source, f"bucket:{bucket.name}")
    wait_until(lambda: (mount.path / "theirs").exists(), 10, "the file")
    assert (mount.path / "theirs").stat().st_mtime_ns == NANOSECONDS
    (mount.path / "ours").write_text("from us")
    os.utime(mount.path / "ours", ns=(0, NANOSECONDS + 1))
    mount.flush()
    rclone(bucket, "copy", f"bucket:{bucket.name}", place / "back")
    assert (place / "back/ours").stat().st_mtime_ns == NANOSECONDS + 1
    listed = json.loads(rclone(bucket, "lsjson", f"bucket:{bucket.name}").stdout)
    assert sorted(entry["Name"] for entry in listed if not entry["IsDir"]) == ["ours", "theirs"]
