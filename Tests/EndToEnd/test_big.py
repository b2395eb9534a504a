"""Large files: what they cost in memory and on the wire."""
import hashlib
import os
import random
import time

import pytest

import trees

BIG_BYTES = int(os.environ.get("PAIL_BIG_BYTES", 128 << 20))
BUSY_BYTES, IDLE_BYTES = 150 << 20, 40 << 20
CHUNK = 1 << 20
# What a test may take grows with the file.
SECONDS = 120 + BIG_BYTES // (8 << 20)


def write_random(path, size, seed=5):
    """Writes without holding it all; gives the hash."""
    choose, hasher = random.Random(seed), hashlib.sha256()
    with open(path, "wb", buffering=0) as file:
        for offset in range(0, size, CHUNK):
            block = choose.randbytes(min(CHUNK, size - offset))
            hasher.update(block)
            file.write(block)
    return hasher.hexdigest()


@pytest.mark.timeout(SECONDS)
@pytest.mark.on("local", "ministack", "seaweedfs")
def test_big_file_there_and_back_within_bounds(mount):
    assert mount.resident_bytes() < IDLE_BYTES
    expected = write_random(mount.path / "big", BIG_BYTES)
    mount.flush(timeout=SECONDS)
    assert mount.resident_bytes(peak=True) < BUSY_BYTES
    mount.remount(empty_cache=True)
    assert trees.digest(mount.path / "big") == expected
    assert mount.resident_bytes(peak=True) < BUSY_BYTES


@pytest.mark.on("ministack", "seaweedfs")
def test_small_change_in_a_large_object_sends_little(mounts, bucket, proxy, proxied):
    size, offset = 100 << 20, 50_000_000
    content = bytearray(random.Random(9).randbytes(CHUNK) * (size // CHUNK))
    bucket.put("large", bytes(content))
    mount = mounts(proxied)
    with open(mount.path / "large", "r+b", buffering=0) as file:
        os.pwrite(file.fileno(), b"!" * 4096, offset)
    mount.flush()
    content[offset:offset + 4096] = b"!" * 4096
    assert hashlib.sha256(bucket.get("large")).digest() == hashlib.sha256(content).digest()
    assert proxy.sent < 10 << 20, f"{proxy.sent} bytes were sent"
    assert proxy.received < 40 << 20, f"{proxy.received} bytes were fetched"


@pytest.mark.on("ministack")
def test_small_read_of_a_large_object_fetches_little(mounts, bucket, proxy, proxied):
    content = random.Random(9).randbytes(CHUNK) * 64
    bucket.put("large", content)
    mount = mounts(proxied)
    with open(mount.path / "large", "rb", buffering=0) as file:
        for offset in (40_000_000, 10, 60_000_000):
            assert os.pread(file.fileno(), 100, offset) == content[offset:offset + 100]
    assert proxy.received < 8 << 20


@pytest.mark.on("local")
def test_cache_smaller_than_the_files(mounts, bucket):
    mount = mounts(bucket, "--cache-limit", "64MiB", "--cache-reserve", "0")
    expected = {}
    for number in range(6):
        expected[f"f{number}"] = write_random(mount.path / f"f{number}", 32 << 20, seed=number)
    for name, value in expected.items():
        assert trees.digest(mount.path / name) == value
    mount.flush()
    time.sleep(1)
    used = sum(
        os.stat(os.path.join(folder, name)).st_blocks * 512
        for folder, _, files in os.walk(mount.cache / "content") for name in files)
    assert used < 80 << 20, f"the cache holds {used} bytes"
