"""Full disks and networks that are gone: writers wait or are told; nothing is lost."""
import os
import random
import threading
import time

import pytest

import trees
from buckets import LocalBucket
from pail import is_mounted, run
from test_big import write_random
from test_commands import CACHE, INCOMPLETE, assert_one_line


@pytest.mark.on("ministack")
def test_unplugged_server(mounts, bucket, proxy, proxied):
    mount = mounts(proxied, "--request-timeout", "2s", "--refresh", "1h")
    (mount.path / "before").write_text("before")
    mount.flush()
    assert os.listdir(mount.path) == ["before"]
    proxy.unplug()
    (mount.path / "during").write_text("during")
    (mount.path / "before").write_text("changed")
    assert (mount.path / "during").read_text() == "during"
    begin = time.monotonic()
    result = mount.command("flush", mount.path, "--timeout", "3", check=False, timeout=30)
    assert result.returncode == INCOMPLETE and time.monotonic() - begin < 20
    assert "left" in result.stderr, result.stderr
    result = mount.umount("--timeout", "3", check=False, timeout=30)
    assert result.returncode == INCOMPLETE and is_mounted(mount.path)
    proxy.plug()
    mount.umount()
    assert bucket.get("during") == b"during" and bucket.get("before") == b"changed"


@pytest.mark.on("ministack")
def test_forced_umount_carries_on_at_the_next_mount(mounts, bucket, proxy, proxied):
    mount = mounts(proxied, "--request-timeout", "2s", "--refresh", "1h")
    assert os.listdir(mount.path) == []
    proxy.unplug()
    (mount.path / "kept").write_text("kept")
    result = mount.umount("--timeout", "2", "--force", check=False, timeout=60)
    assert result.returncode == INCOMPLETE and not is_mounted(mount.path)
    assert bucket.keys() == {}
    proxy.plug()
    mount.mount()
    assert (mount.path / "kept").read_text() == "kept"
    mount.umount()
    assert bucket.get("kept") == b"kept"


@pytest.mark.on("ministack")
def test_reads_of_an_unplugged_server_end(mounts, bucket, proxy, proxied):
    bucket.put("a", b"x" * 1_000_000)
    mount = mounts(proxied, "--request-timeout", "2s", "--refresh", "1h")
    assert os.listdir(mount.path) == ["a"]
    proxy.unplug()
    threading.Timer(8, proxy.plug).start()
    # It waits for the network to come back, or fails; it never gives wrong bytes.
    result = run("cat", mount.path / "a", check=False, timeout=90)
    assert result.returncode != 0 or result.stdout == "x" * 1_000_000
    proxy.plug()
    assert (mount.path / "a").read_bytes() == b"x" * 1_000_000


@pytest.mark.on("ministack")
def test_more_dirty_than_allowed_waits(mounts, bucket, proxy, proxied):
    mount = mounts(proxied, "--cache-maximum-dirty", "16MiB", "--request-timeout", "5s", "--refresh", "1h")
    assert os.listdir(mount.path) == []
    expected = []
    proxy.unplug()
    writer = threading.Thread(
        target=lambda: expected.append(write_random(mount.path / "a", 48 << 20)), daemon=True)
    writer.start()
    time.sleep(3)
    assert writer.is_alive(), "48 MiB went into a cache that may hold 16 MiB of changes"
    proxy.plug()
    writer.join(timeout=90)
    assert not writer.is_alive()
    mount.remount(empty_cache=True)
    assert trees.digest(mount.path / "a") == expected[0]


@pytest.fixture
def small_disk(place):
    disk = place / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=256m,mode=755", "pail-test", disk)
    yield disk
    # The fixture `place` takes the mount away.


@pytest.mark.root
def test_cache_disk_that_fills_up(mounts, place, small_disk):
    bucket = LocalBucket(place / "bucket")
    mount = mounts(bucket, "--cache-limit", "1GiB", "--cache-reserve", "4MiB", mount=False)
    mount.cache = small_disk / "cache"
    mount.mount()
    acknowledged = {}
    for number in range(40):
        name, data = f"f{number}", random.Random(number).randbytes(10 << 20)
        try:
            (mount.path / name).write_bytes(data)
        except OSError:
            break
        acknowledged[name] = data
    assert acknowledged
    mount.flush()
    for name, data in acknowledged.items():
        assert bucket.get(name) == data, name
        assert (mount.path / name).read_bytes() == data, name


@pytest.mark.root
def test_cache_disk_that_is_full(mounts, place, small_disk):
    with open(small_disk / "filler", "wb") as file:
        try:
            while True:
                file.write(bytes(1 << 20))
        except OSError:
            pass
    mount = mounts(LocalBucket(place / "bucket"), mount=False)
    cache = small_disk / "cache"
    result = mount.command("mount", mount.bucket.address, mount.path, "--cache-dir", cache, check=False)
    assert result.returncode == CACHE, result.stderr
    assert_one_line(result, "space|full", "--cache-dir|free")
    assert not is_mounted(mount.path)
