"""Caches that were damaged while nothing was mounted: what the bucket doesn't have must be there afterwards, in the mount
or in what `pail cache export` writes."""
import contextlib
import json
import os
import random
import sqlite3

import pytest

from pail import wait_until

pytestmark = pytest.mark.on("local")
FILES = {"a": b"first\n", "deep/er/b": random.Random(1).randbytes(300_000), "deep/big": random.Random(2).randbytes(3 << 20)}


def fill(mount):
    for name, content in FILES.items():
        path = mount.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    os.symlink("a", mount.path / "link")
    os.rename(mount.path / "a", mount.path / "renamed")


def redo_bytes(mount):
    """How much the redo log holds that the database doesn't have yet: the low half of its mark."""
    return int.from_bytes((mount.cache / "tree.db-redo").read_bytes()[8:12], "little")


def killed(mounts, bucket):
    """A cache with changes that the bucket doesn't have, whose daemon died."""
    mount = mounts(bucket, "--upload-delay", "10m")
    fill(mount)
    # A damaged database keeps the names that were committed, at the latest a second after they were made.
    wait_until(lambda: redo_bytes(mount) == 0, 10, "the commit")
    mount.kill()
    assert bucket.keys() == {}
    return mount


def expected():
    return {("renamed" if name == "a" else name): content for name, content in FILES.items()}


def overwrite(path, offset, content):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(content)


def caches(mount, *operands):
    return json.loads(mount.command("cache", "list", *operands, "--json").stdout)


def check_export(mount, cache, directory):
    mount.command("cache", "export", cache, directory)
    found = {
        str(path.relative_to(directory / "files")): path.read_bytes()
        for path in (directory / "files").rglob("*") if path.is_file() and not path.is_symlink()
    }
    assert found == expected()
    assert os.readlink(directory / "files/link") == "a"


def test_a_damaged_log_is_set_aside_and_exported(mounts, bucket, place):
    mount = killed(mounts, bucket)
    overwrite(mount.cache / "tree.db-wal", 5000, b"\xff" * 10)
    result = mount.mount()
    assert "is set aside as" in result.stderr and "write-ahead log" in result.stderr
    # The mount is new and works.
    assert os.listdir(mount.path) == []
    (mount.path / "new").write_bytes(b"new")
    mount.flush()
    assert bucket.keys() == {"new": 3}
    used, kept = caches(mount, mount.cache)
    assert used["state"] == f"mounted on {mount.path}" and used["dirtyFiles"] == 0
    assert kept["state"].startswith("set aside: ") and kept["dirtyFiles"] == len(FILES)
    check_export(mount, kept["cache"], place / "rescued")
    mount.umount()
    # Not removed before somebody says so.
    refused = mount.command("cache", "remove", mount.cache, check=False)
    assert refused.returncode == 3 and kept["cache"] in refused.stderr
    mount.command("cache", "remove", kept["cache"], "--discard")
    mount.command("cache", "remove", mount.cache)
    assert not mount.cache.exists()


def test_a_cache_without_damage_is_exported(mounts, bucket, place):
    mount = killed(mounts, bucket)
    mount.command("cache", "verify", mount.cache)
    check_export(mount, mount.cache, place / "rescued")
    again = mount.command("cache", "export", mount.cache, place / "rescued", check=False)
    assert again.returncode == 1 and "not empty" in again.stderr
    mount.mount("--upload-delay", "100ms")
    mount.flush()
    assert {key: bucket.get(key) for key in bucket.keys() if key != "link"} == expected()
    assert "in use" in mount.command("cache", "verify", mount.cache, check=False).stderr


def test_a_destroyed_database_header(mounts, bucket, place):
    mount = killed(mounts, bucket)
    # All that is in the log goes to the database, or its first page would come from there.
    with contextlib.closing(sqlite3.connect(mount.cache / "tree.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite(mount.cache / "tree.db", 0, b"\xff" * 100)
    assert mount.command("cache", "verify", mount.cache, check=False).returncode == 1
    result = mount.mount()
    assert "is set aside as" in result.stderr
    kept = caches(mount, mount.cache)[1]
    check_export(mount, kept["cache"], place / "rescued")


def test_a_damaged_page_map(mounts, bucket, place):
    content = random.Random(5).randbytes(4 << 20)
    bucket.put("big", content)
    mount = mounts(bucket, "--upload-delay", "10m")
    with open(mount.path / "big", "r+b") as file:
        file.seek(1 << 20)
        file.write(b"changed!" * 1000)
    mount.kill()
    maps = list((mount.cache / "content").rglob("*.map"))
    assert len(maps) == 1
    overwrite(maps[0], 4096 + 256, b"\x00")
    result = mount.mount("--upload-delay", "100ms")
    assert "lost+found" in result.stderr
    # The name has the bucket's version, and the bucket keeps it.
    assert (mount.path / "big").read_bytes() == content
    mount.flush()
    assert bucket.get("big") == content
    mount.umount()
    assert caches(mount, mount.cache)[0]["lostFiles"] == 1
    mount.command("cache", "export", mount.cache, place / "rescued")
    kept, = (place / "rescued/lost+found").iterdir()
    assert kept.read_bytes()[1 << 20:][:8000] == b"changed!" * 1000
    assert "was big" in (place / "rescued/report").read_text()


def test_another_buckets_cache(mounts, bucket, place):
    mount = killed(mounts, bucket)
    other = mounts(type(bucket)(place / "other"), mount=False)
    other.cache = mount.cache
    result = other.mount(check=False)
    assert result.returncode == 6 and f"is that of {bucket.address}: name another" in result.stderr
    check_export(mount, mount.cache, place / "rescued")
