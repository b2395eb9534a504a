"""Several who write to one bucket: nobody's acknowledged work is overwritten by somebody who had not seen it.

Every version names the writer, its number, and the version that its writer had read just before: so the versions are a
graph. PAIL_WRITE_SECONDS is how long they write."""
import os
import random
import threading
import time

import pytest

from pail import wait_until

SECONDS = int(os.environ.get("PAIL_WRITE_SECONDS", 6))
FILES = ["one", "two", "sub/three"]


class Writer(threading.Thread):
    """Reads a version and writes the next one over it, through one descriptor, again and again."""

    def __init__(self, mount, name, seed):
        super().__init__()
        self.mount, self.choose, self.name_of = mount, random.Random(seed), name
        self.is_over = threading.Event()
        # Version to the one that was read before it was written.
        self.written = {}
        self.trouble = []

    def run(self):
        number = 0
        while not self.is_over.is_set():
            number += 1
            path = self.mount.path / self.choose.choice(FILES)
            try:
                self.step(path, f"{self.name_of}-{number}")
            except FileNotFoundError:
                pass
            except OSError as error:
                self.trouble.append(error)
            time.sleep(self.choose.uniform(0, 0.2))

    def step(self, path, version):
        with open(path, "r+") as file:
            seen = version_of(file.read())
            time.sleep(self.choose.uniform(0, 0.2))
            file.seek(0)
            file.write(text_of(version))
            file.truncate()
        self.written[version] = seen


def text_of(version):
    return f"{version}\n" + "x" * (len(version) * 50)


def version_of(text):
    name = text.split("\n")[0]
    assert text == text_of(name), f"a mixture of versions: {text[:40]!r}"
    return name


def check(bucket, versions):
    """Each acknowledged version is in the bucket, or replaced by somebody who had seen it, or who replaced such a one."""
    contents = {key: version_of(bucket.get(key).decode()) for key in bucket.keys()}
    seen, queue = set(), list(contents.values())
    while queue:
        version = queue.pop()
        if version not in seen:
            seen.add(version)
            queue.append(versions.get(version, "first"))
    lost = [version for version in versions if version not in seen]
    return contents, lost


@pytest.mark.timeout(120 + 4 * SECONDS)
@pytest.mark.on("local", "ministack", "seaweedfs")
def test_racing_writers_lose_nothing(mounts, bucket):
    for key in FILES:
        bucket.put(key, text_of("first").encode())
    writers = [Writer(mounts(bucket, "--upload-delay", "50ms"), name, seed) for seed, name in enumerate("ab")]
    for writer in writers:
        writer.start()
    time.sleep(SECONDS)
    for writer in writers:
        writer.is_over.set()
        writer.join(30)
    for writer in writers:
        writer.mount.flush()
    versions = writers[0].written | writers[1].written
    assert len(versions) > SECONDS, "hardly anything was written"
    assert all(error.errno == 116 for writer in writers for error in writer.trouble), writers
    contents, lost = check(bucket, versions)
    copies = [key for key in contents if "conflict" in key]
    print(f"{len(versions)} versions, {len(copies)} conflict copies", flush=True)
    # A step that failed after its write may have acknowledged what `written` doesn't have, but not the other way.
    assert not lost, f"{len(lost)} of {len(versions)} versions were overwritten unseen: {lost[:5]}"
    for writer in writers:
        wait_until(lambda: {path for path in names(writer.mount.path)} == set(contents), 20, "the same names")
        assert {key: version_of((writer.mount.path / key).read_text()) for key in contents} == contents


def names(top):
    return {
        os.path.relpath(os.path.join(folder, name), top) for folder, _, files in os.walk(top) for name in files
    }


@pytest.mark.on("local", "ministack", "seaweedfs")
def test_plain_calls_under_a_mount(mounts, bucket):
    """Another program creates, replaces and deletes objects while files are open and changed here."""
    mount = mounts(bucket, "--upload-delay", "2s")
    bucket.put("kept", b"old " * 50_000)
    bucket.put("edited", b"base")
    bucket.put("deleted", b"gone soon")
    with open(mount.path / "kept", "rb", buffering=0) as kept:
        assert len(kept.read()) == 200_000
        assert (mount.path / "edited").read_bytes() == b"base"
        assert (mount.path / "deleted").read_bytes() == b"gone soon"
        (mount.path / "edited").write_bytes(b"mine")
        bucket.put("kept", b"new")
        bucket.put("edited", b"theirs")
        bucket.delete("deleted")
        bucket.put("fresh", b"fresh")
        wait_until(lambda: (mount.path / "fresh").exists(), 5, "what was created")
        wait_until(lambda: not (mount.path / "deleted").exists(), 5, "the deletion")
        wait_until(lambda: (mount.path / "kept").stat().st_size == 3, 5, "the new version")
        # All of the open version is in the cache.
        assert os.pread(kept.fileno(), 200_000, 0) == b"old " * 50_000
    mount.flush()
    found = {key: bucket.get(key) for key in bucket.keys()}
    copy = next(key for key in found if "conflict" in key)
    assert found == {"kept": b"new", "edited": b"theirs", "fresh": b"fresh", copy: b"mine"}


@pytest.mark.on("local", "ministack", "seaweedfs")
def test_a_deleted_object_under_an_edit_is_made_again(mounts, bucket):
    bucket.put("a", b"base")
    mount = mounts(bucket, "--upload-delay", "2s")
    assert (mount.path / "a").read_bytes() == b"base"
    (mount.path / "a").write_bytes(b"edited")
    bucket.delete("a")
    mount.flush()
    assert bucket.get("a") == b"edited"


@pytest.mark.on("local", "ministack", "seaweedfs")
def test_a_replaced_object_is_not_deleted(mounts, bucket):
    bucket.put("a", b"base")
    mount = mounts(bucket, "--upload-delay", "2s", "--refresh", "1h")
    assert (mount.path / "a").read_bytes() == b"base"
    bucket.put("a", b"theirs")
    (mount.path / "a").unlink()
    mount.flush()
    assert bucket.get("a") == b"theirs"


def test_a_change_that_cannot_be_completed_is_kept(mounts, bucket):
    """Somebody replaces the version that was changed before all of it was fetched."""
    bucket.put("large", os.urandom(8 << 20))
    mount = mounts(bucket, "--upload-delay", "3s")
    with open(mount.path / "large", "r+b") as file:
        file.seek(5_000_000)
        file.write(b"mine")
    bucket.put("large", b"theirs")
    mount.flush()
    assert bucket.get("large") == b"theirs" and list(bucket.keys()) == ["large"]
    assert (mount.path / "large").read_bytes() == b"theirs"
    kept = [path for path in (mount.cache / "lost+found").iterdir() if path.suffix != ".map"]
    assert len(kept) == 1
    with open(kept[0], "rb") as file:
        file.seek(5_000_000)
        assert file.read(4) == b"mine"
    assert "large: the version that was changed here is gone from the bucket" in mount.log()
