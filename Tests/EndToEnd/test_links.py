"""Hard links: several objects in the bucket, one file on every mount."""
import os
import shutil

import pytest

from pail import wait_until

KINDS = ("local", "ministack", "seaweedfs")


def make_names(mount):
    """Three names of one file, in two directories."""
    (mount.path / "d").mkdir()
    (mount.path / "a").write_text("shared")
    os.link(mount.path / "a", mount.path / "d/b")
    os.link(mount.path / "d/b", mount.path / "c")
    return [mount.path / name for name in ("a", "d/b", "c")]


def assert_one_file(paths, content):
    status = [path.stat() for path in paths]
    assert len({entry.st_ino for entry in status}) == 1
    assert [entry.st_nlink for entry in status] == [len(paths)] * len(paths)
    assert [path.read_text() for path in paths] == [content] * len(paths)


@pytest.mark.on(*KINDS)
def test_names_stay_one_file(mount, bucket):
    names = make_names(mount)
    os.utime(names[0], ns=(5, 1_600_000_000_000_000_001))
    before = names[0].stat()
    mount.remount(empty_cache=True)
    assert {key: bucket.get(key) for key in bucket.keys()} == {name: b"shared" for name in ("a", "c", "d/b")}
    # Before the others were looked at.
    first = names[2].stat()
    assert (first.st_nlink, first.st_mtime_ns, first.st_ctime_ns) == (3, before.st_mtime_ns, before.st_ctime_ns)
    assert_one_file(names, "shared")
    names[1].write_text("changed through one")
    assert_one_file(names, "changed through one")
    mount.flush()
    assert {bucket.get(key) for key in bucket.keys()} == {b"changed through one"}
    names[0].unlink()
    assert_one_file(names[1:], "changed through one")
    os.rename(mount.path / "d", mount.path / "e")
    names = [mount.path / "e/b", mount.path / "c"]
    mount.remount(empty_cache=True)
    assert_one_file(names, "changed through one")
    assert sorted(bucket.keys()) == ["c", "e/b"]
    names[0].unlink()
    mount.remount(empty_cache=True)
    assert_one_file(names[1:], "changed through one")


@pytest.mark.on(*KINDS)
def test_another_tools_object_is_a_file_of_its_own(mounts, bucket):
    mount = mounts(bucket)
    names = make_names(mount)
    mount.flush()
    bucket.put("c", b"theirs")
    wait_until(lambda: names[2].read_bytes() == b"theirs", 15, "the other's version")
    assert_one_file(names[:2], "shared")
    names[0].write_text("mine")
    mount.flush()
    assert {key: bucket.get(key) for key in bucket.keys()} == {"a": b"mine", "d/b": b"mine", "c": b"theirs"}


@pytest.mark.on(*KINDS)
def test_two_mounts_see_one_file(mounts, bucket):
    first, second = mounts(bucket), mounts(bucket)
    names = make_names(first)
    first.flush()
    there = [second.path / path.relative_to(first.path) for path in names]
    wait_until(lambda: there[0].exists() and there[1].exists() and there[2].exists(), 15, "the names")
    assert_one_file(there, "shared")
    there[1].write_text("from the second")
    second.flush()
    wait_until(lambda: {path.read_text() for path in names} == {"from the second"}, 15, "the change")
    wait_until(lambda: len({path.stat().st_ino for path in names}) == 1, 15, "one file again")
    assert_one_file(names, "from the second")


def test_a_killed_daemon_leaves_no_mixture(mounts, bucket):
    mount = mounts(bucket)
    names = make_names(mount)
    mount.flush()
    names[0].write_text("newer")
    os.link(names[0], mount.path / "d/more")
    mount.kill()
    mount.mount()
    assert_one_file([*names, mount.path / "d/more"], "newer")
    mount.remount(empty_cache=True)
    assert_one_file([*names, mount.path / "d/more"], "newer")


def test_a_tree_of_links_is_copied_as_one(mounts, bucket, place):
    """What tools make of nlink and inode numbers: cp -al as backup tools do, and cp -a back."""
    mount = mounts(bucket)
    source = mount.path / "day1"
    source.mkdir()
    for number in range(30):
        (source / f"f{number}").write_text(f"content {number}")
    assert os.system(f"cp -al {source} {mount.path}/day2") == 0
    mount.remount(empty_cache=True)
    copy = place / "copy"
    assert os.system(f"cp -a {mount.path} {copy}") == 0
    for number in range(30):
        pair = [(copy / day / f"f{number}").stat() for day in ("day1", "day2")]
        assert pair[0].st_ino == pair[1].st_ino and pair[0].st_nlink == 2
    shutil.rmtree(mount.path / "day1")
    mount.remount(empty_cache=True)
    assert {entry.stat().st_nlink for entry in os.scandir(mount.path / "day2")} == {1}
