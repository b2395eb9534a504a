"""The daemon dies at random moments under a mixed load. Nothing that was acknowledged may be missing afterwards.

PAIL_KILLS is how often, PAIL_KILL_SEED makes the same sequence of steps again."""
import contextlib
import hashlib
import os
import random
import time

import pytest

from pail import wait_until
from workload import Runner, Workload

# Not MiniStack: a request whose sender was killed halfway can keep it from answering anybody.
pytestmark = pytest.mark.on("local", "seaweedfs")
KILLS = int(os.environ.get("PAIL_KILLS", 6))
SEED = int(os.environ.get("PAIL_KILL_SEED", 20_261))
# A step, a pause, a remount and a comparison each time, and the drain at the end.
SECONDS = 120 + 15 * KILLS


def check_bucket(bucket, workload):
    """Whole objects only: every content is one that some file had after some system call."""
    for key in bucket.keys():
        found = hashlib.sha256(bucket.get(key)).digest()
        assert found in workload.model.hashes, f"{key} in the bucket is no version of any file"


def run_and_kill(mount, workload, seconds):
    runner = Runner(workload)
    runner.start()
    time.sleep(seconds)
    runner.killing.set()
    mount.kill()
    runner.join(timeout=30)
    assert not runner.is_alive(), "a system call outlived the daemon"
    if runner.trouble:
        raise AssertionError(f"seed {SEED}, step {workload.steps}: {runner.trouble!r}") from runner.trouble


@pytest.mark.timeout(SECONDS)
def test_killed_under_load(mount, bucket):
    pauses = random.Random(SEED)
    workload = Workload(mount.path, SEED)
    workload.prepare()
    for number in range(KILLS):
        run_and_kill(mount, workload, pauses.uniform(0.05, 1.5))
        time.sleep(1)
        check_bucket(bucket, workload)
        mount.mount()
        workload.recover()
        if number % 20 == 19:
            print(f"{number + 1} kills, {workload.steps} steps, {len(workload.model.files)} files", flush=True)
    mount.flush()
    compare_bucket(bucket, workload)
    mount.remount(empty_cache=True)
    workload.check()
    print(f"{KILLS} kills, {workload.steps} steps: nothing lost")


def compare_bucket(bucket, workload):
    model = workload.model.files
    assert bucket.keys() == {path: len(content) for path, content in model.items()}
    for path, content in model.items():
        assert bucket.get(path) == content, path


def test_acknowledged_is_uploaded_after_a_restart(mounts, bucket):
    mount = mounts(bucket, "--upload-delay", "1m")
    (mount.path / "d").mkdir()
    (mount.path / "d/a").write_bytes(b"acknowledged" * 1000)
    os.rename(mount.path / "d/a", mount.path / "b")
    assert bucket.keys() == {}
    mount.kill()
    mount.mount("--upload-delay", "100ms")
    wait_until(lambda: bucket.keys() == {"b": 12_000}, 20, "the upload")
    assert bucket.get("b") == b"acknowledged" * 1000


def test_killed_during_an_upload(mounts, bucket):
    content = random.Random(4).randbytes(40 << 20)
    mount = mounts(bucket)
    (mount.path / "a").write_bytes(content)
    time.sleep(0.3)
    mount.kill()
    found = bucket.get("a") if "a" in bucket.keys() else b""
    # The kernel hands one large write to the daemon in parts; a slow machine may rest between two.
    assert content.startswith(found) and len(found) % (1 << 20) == 0
    mount.mount()
    assert (mount.path / "a").read_bytes() == content
    mount.flush()
    assert bucket.get("a") == content


@pytest.mark.on("seaweedfs")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("route", ["--passthrough", "--no-passthrough"])
def test_killed_while_a_file_is_sent_ahead(mounts, bucket, route):
    """A large file is being written, by the kernel or by the daemon, and parts of it are in the bucket already."""
    def parts():
        uploads = bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", [])
        return sum(
            len(bucket.client.list_parts(Bucket=bucket.name, Key=upload["Key"], UploadId=upload["UploadId"])
                .get("Parts", [])) for upload in uploads)

    mount = mounts(bucket, route)
    choose, written = random.Random(6), []
    def write_until(condition):
        while not condition() and len(written) < 400:
            for _ in range(4):
                written.append(choose.randbytes(1 << 20))
                os.write(file, written[-1])
            time.sleep(0.05)
        assert condition(), "no part was sent while the file was written"

    file = os.open(mount.path / "big", os.O_CREAT | os.O_WRONLY)
    write_until(lambda: len(written) >= 80)
    write_until(lambda: parts() >= 2)
    assert bucket.keys() == {}
    mount.kill()
    with contextlib.suppress(OSError):
        os.close(file)
    assert bucket.keys() == {}
    mount.mount()
    expected = b"".join(written)
    assert (mount.path / "big").read_bytes() == expected
    mount.flush()
    assert bucket.get("big") == expected
    # Without a death the parts are used.
    written.clear()
    file = os.open(mount.path / "other", os.O_CREAT | os.O_WRONLY)
    before = parts()
    write_until(lambda: len(written) >= 80)
    write_until(lambda: parts() >= before + 2)
    os.pwrite(file, b"changed", 1000)
    os.close(file)
    mount.flush()
    expected = b"".join(written)
    assert bucket.get("other") == expected[:1000] + b"changed" + expected[1007:]
    stated = float(bucket.metadata("other")["mtime"])
    assert abs(stated - os.stat(mount.path / "other").st_mtime) < 1e-6
    assert bucket.keys().keys() == {"big", "other"}


def test_open_file_of_a_killed_daemon(mount, bucket):
    file = os.open(mount.path / "a", os.O_CREAT | os.O_WRONLY)
    content = b"x" * 5000
    os.write(file, content)
    mount.kill()
    try:
        # The kernel may write by itself; then it counts.
        content += b"y"[:os.write(file, b"y")]
    except OSError:
        pass
    with contextlib.suppress(OSError):
        os.close(file)
    mount.mount()
    assert (mount.path / "a").read_bytes() == content
    mount.flush()
    assert bucket.get("a") == content
