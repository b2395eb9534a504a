"""Directories that are renamed: at once on the mount, whole in the bucket, whatever happens meanwhile.

PAIL_MOVE_FILES is how many files the large directory has; scripts/move-100k runs it with 100,000."""
import os
import random
import threading
import time

import pytest

from buckets import LocalBucket
from pail import wait_until

FILES = int(os.environ.get("PAIL_MOVE_FILES", 5_000))
MOST_SECONDS = 0.05
SECONDS = 120 + FILES // 50


def fill(bucket, prefix, count):
    """As another program would: the mount finds them there."""
    if isinstance(bucket, LocalBucket):
        for number in range(count):
            path = bucket.directory / f"{prefix}{number // 1000}/{number}"
            if number % 1000 == 0:
                path.parent.mkdir(parents=True)
            path.write_bytes(b"%d" % number)
    else:
        for number in range(count):
            bucket.put(f"{prefix}{number // 1000}/{number}", b"%d" % number)


def expected(prefix, count):
    return {f"{prefix}{number // 1000}/{number}": len(str(number)) for number in range(count)}


def timed_rename(old, new):
    begin = time.monotonic()
    os.rename(old, new)
    return time.monotonic() - begin


@pytest.mark.timeout(SECONDS)
@pytest.mark.on("local")
def test_a_large_directory(mounts, bucket):
    fill(bucket, "old/", FILES)
    mount = mounts(bucket, "--refresh", "1h")
    # All of it is known, as after ls -R.
    assert sum(len(files) for _, _, files in os.walk(mount.path)) == FILES
    seconds = timed_rename(mount.path / "old", mount.path / "new")
    print(f"renamed {FILES} files in {seconds * 1000:.1f} ms", flush=True)
    assert seconds < MOST_SECONDS
    begin = time.monotonic()
    choose = random.Random(1)
    for number in choose.sample(range(FILES), 200):
        assert (mount.path / f"new/{number // 1000}/{number}").read_bytes() == b"%d" % number
    assert not (mount.path / "old").exists()
    mount.flush(timeout=SECONDS - 30)
    print(f"moved {FILES} objects in {time.monotonic() - begin:.1f} s", flush=True)
    assert bucket.keys() == expected("new/", FILES)
    for number in choose.sample(range(FILES), 200):
        assert bucket.get(f"new/{number // 1000}/{number}") == b"%d" % number


KINDS = ("local", "seaweedfs")


@pytest.mark.on(*KINDS)
def test_killed_while_it_moves(mounts, bucket):
    count = 300
    fill(bucket, "old/", count)
    mount = mounts(bucket)
    os.rename(mount.path / "old", mount.path / "new")
    for pause in (0.2, 0.5, 0.9):
        time.sleep(pause)
        mount.kill()
        mount.mount()
        for number in random.Random(pause).sample(range(count), 20):
            assert (mount.path / f"new/{number // 1000}/{number}").read_bytes() == b"%d" % number
    mount.flush()
    assert bucket.keys() == expected("new/", count)
    mount.remount(empty_cache=True)
    assert sum(len(files) for _, _, files in os.walk(mount.path / "new")) == count


@pytest.mark.on(*KINDS, "ministack")
def test_changed_while_it_moves(mounts, bucket):
    count = 200
    fill(bucket, "old/", count)
    mount = mounts(bucket)
    os.rename(mount.path / "old", mount.path / "new")
    wanted = expected("third/", count)
    time.sleep(0.3)
    (mount.path / "new/0/7").write_text("changed on the way")
    (mount.path / "new/0/added").write_text("added")
    (mount.path / "new/0/9").unlink()
    os.rename(mount.path / "new/0/11", mount.path / "taken out")
    # Again, and something else takes the first place.
    os.rename(mount.path / "new", mount.path / "third")
    (mount.path / "old/0").mkdir(parents=True)
    (mount.path / "old/0/7").write_text("a new one of the old name")
    assert (mount.path / "third/0/7").read_text() == "changed on the way"
    assert (mount.path / "third/0/8").read_text() == "8"
    mount.flush()
    wanted |= {"third/0/7": 18, "third/0/added": 5, "taken out": 2, "old/0/7": 25}
    del wanted["third/0/9"], wanted["third/0/11"]
    assert bucket.keys() == wanted
    assert bucket.get("third/0/7") == b"changed on the way" and bucket.get("taken out") == b"11"


@pytest.mark.on(*KINDS)
def test_there_and_back(mounts, bucket):
    count = 200
    fill(bucket, "a/", count)
    fill(bucket, "b/", 50)
    mount = mounts(bucket)
    for _ in range(3):
        os.rename(mount.path / "a", mount.path / "c")
        os.rename(mount.path / "b", mount.path / "a")
        time.sleep(0.3)
        os.rename(mount.path / "a", mount.path / "b")
        os.rename(mount.path / "c", mount.path / "a")
    mount.flush()
    assert bucket.keys() == expected("a/", count) | expected("b/", 50)
    assert bucket.get("a/0/49") == b"49"


@pytest.mark.on("local")
def test_read_throughout(mounts, bucket):
    """Somebody reads all the time while the directory goes through many names."""
    fill(bucket, "name0/", 100)
    mount = mounts(bucket, "--refresh", "1h")
    held = os.open(mount.path / "name0", os.O_RDONLY | os.O_DIRECTORY)
    trouble, is_over = [], threading.Event()

    def read():
        choose = random.Random(3)
        while not is_over.is_set():
            number = choose.randrange(100)
            try:
                file = os.open(f"0/{number}", os.O_RDONLY, dir_fd=held)
                content = os.read(file, 10)
                os.close(file)
                if content != b"%d" % number:
                    trouble.append(content)
            except OSError as error:
                trouble.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(12):
        os.rename(mount.path / f"name{number}", mount.path / f"name{number + 1}")
        time.sleep(0.25)
    is_over.set()
    reader.join()
    os.close(held)
    assert not trouble, trouble[:3]
    mount.flush()
    assert bucket.keys() == expected("name12/", 100)
