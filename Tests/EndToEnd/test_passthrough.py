"""Files that the kernel reads and writes by itself, past the daemon: nothing of that may be lost or seen otherwise."""
import contextlib
import mmap
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pail import run, wait_until

pytestmark = [pytest.mark.root, pytest.mark.on("local")]
ON, OFF = "--passthrough", "--passthrough=false"
MIB = 1 << 20


@contextlib.contextmanager
def stopped(mount):
    """The daemon answers nothing meanwhile."""
    os.kill(mount.process, signal.SIGSTOP)
    tasks = Path(f"/proc/{mount.process}/task")
    wait_until(
        lambda: all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir()),
        10, "the stop of all threads")
    try:
        yield
    finally:
        os.kill(mount.process, signal.SIGCONT)


def needs_daemon(mount, body, seconds=1):
    """Whether a system call waits for the daemon."""
    thread = threading.Thread(target=body, daemon=True)
    with stopped(mount):
        thread.start()
        thread.join(seconds)
        waits = thread.is_alive()
    thread.join(20)
    assert not thread.is_alive()
    return waits


def test_status_says_whether_there_is_any(mounts, bucket):
    assert mounts(bucket, ON).status()["passthrough"] == "on"
    assert mounts(bucket, OFF).status()["passthrough"] == "off"
    assert mounts(bucket, "-o", "passthrough=yes").status()["passthrough"] == "on"
    assert mounts(bucket, "-o", "passthrough=no").status()["passthrough"] == "off"


@pytest.mark.skipif("PAIL_TEST_OPTIONS" in os.environ, reason="PAIL_TEST_OPTIONS is set")
def test_it_is_there_unless_told_otherwise(mounts, bucket):
    assert mounts(bucket).status()["passthrough"] == "on"


@pytest.fixture
def mount(mounts, bucket):
    return mounts(bucket, ON)


@pytest.mark.parametrize("option", [None, OFF])
def test_who_reads_and_writes(mounts, bucket, option):
    mount = mounts(bucket, option or ON)
    new = os.open(mount.path / "new", os.O_CREAT | os.O_RDWR)
    content = random.Random(1).randbytes(9 * MIB)
    (mount.path / "cached").write_bytes(content)
    mount.flush()
    cached = os.open(mount.path / "cached", os.O_RDONLY)
    # Before the first write, and after stat, the kernel asks whether the file has capabilities.
    os.write(new, b"more")
    assert needs_daemon(mount, lambda: os.write(new, b"data")) == bool(option)
    # Otherwise the kernel may have it in its memory.
    assert option or not needs_daemon(mount, lambda: os.pread(cached, len(content), 0))
    assert os.pread(cached, 4096, MIB) == content[MIB:MIB + 4096] and os.pread(new, 10, 0) == b"moredata"
    os.close(new)
    os.close(cached)
    mount.flush()
    assert bucket.get("new") == b"moredata" and bucket.get("cached") == content


def test_what_is_not_whole_is_fetched(mount, bucket):
    content = random.Random(2).randbytes(16 * MIB)
    bucket.put("a", content)
    with open(mount.path / "a", "rb") as part, open(mount.path / "a", "r+b") as changed:
        assert os.pread(part.fileno(), 10, 5 * MIB) == content[5 * MIB:5 * MIB + 10]
        os.pwrite(changed.fileno(), b"new", 9 * MIB)
        content = content[:9 * MIB] + b"new" + content[9 * MIB + 3:]
        assert part.read() == content
    with open(mount.path / "a", "rb") as whole:
        assert whole.read() == content
    mount.flush()
    assert bucket.get("a") == content


def test_all_kinds_of_opens_at_a_time(mount, bucket):
    """The kernel refuses to have a file open in two ways."""
    for name, size in (("small", 5000), ("big", 20 * MIB)):
        content = bytearray(random.Random(size).randbytes(size))
        path = mount.path / name
        path.write_bytes(content)
        mount.flush()
        files = []
        for number in range(40):
            flags = random.Random(number).choice((os.O_RDONLY, os.O_RDWR, os.O_WRONLY, os.O_RDONLY | os.O_DIRECT))
            file = os.open(path, flags)
            files.append((file, flags))
            if flags & os.O_ACCMODE != os.O_RDONLY:
                place = number * 97
                os.pwrite(file, b"%02d" % number, place)
                content[place:place + 2] = b"%02d" % number
            for other, flags in files:
                if flags & os.O_ACCMODE != os.O_WRONLY and not flags & os.O_DIRECT:
                    assert os.pread(other, 5000, 0) == content[:5000]
            if number % 3 == 2:
                os.close(files.pop(number % len(files))[0])
        for file, _ in files:
            os.close(file)
        assert path.read_bytes() == content
        mount.flush()
        assert bucket.get(name) == content


def test_sizes_and_times_while_it_is_written(mount):
    path = mount.path / "a"
    file = os.open(path, os.O_CREAT | os.O_RDWR)
    for number in range(1, 50):
        before = os.stat(path).st_mtime_ns
        os.write(file, b"x" * 1000)
        assert os.stat(path).st_size == os.fstat(file).st_size == number * 1000
        assert os.stat(path).st_mtime_ns > before and os.stat(path).st_ctime_ns >= os.stat(path).st_mtime_ns
    os.utime(path, ns=(10**18, 10**18))
    assert os.fstat(file).st_mtime_ns == 10**18
    os.close(file)
    assert os.stat(path).st_mtime_ns == 10**18
    with mmap.mmap(os.open(path, os.O_RDWR), 0) as map:
        map[0] = 1
        assert os.stat(path).st_mtime_ns > 10**18


def test_an_upload_is_no_access(mount):
    path = mount.path / "a"
    for size in (5000, 12 * MIB):
        file = os.open(path, os.O_CREAT | os.O_RDWR)
        os.write(file, bytes(size))
        before = os.stat(path).st_atime_ns
        mount.flush()
        assert os.stat(path).st_atime_ns == before
        os.pread(file, 10, 0)
        assert os.stat(path).st_atime_ns > before
        os.close(file)
        path.unlink()


def test_a_map_outlives_its_descriptor(mount, bucket):
    path = mount.path / "a"
    path.write_bytes(bytes(100_000))
    mount.flush()
    file = os.open(path, os.O_RDWR)
    map = mmap.mmap(file, 0)
    os.close(file)
    time.sleep(1.5)
    for text in (b"one", b"two"):
        map[5000:5003] = text
        assert path.read_bytes()[5000:5003] == text
        with open(path, "r+b") as other:
            os.pwrite(other.fileno(), text, 9000)
        assert map[9000:9003] == text
        wait_until(lambda: bucket.get("a")[5000:5003] == text, 20, "the upload of a store to memory")
    map[5000:5003] = b"end"
    map.close()
    wait_until(lambda: bucket.get("a")[5000:5003] == b"end", 20, "the upload of what was stored last")
    mount.umount()


def test_what_is_mapped_is_not_evicted(mounts, bucket):
    mount = mounts(bucket, ON, "--cache-limit", "64MiB", "--cache-reserve", "0")
    content = random.Random(3).randbytes(8 * MIB)
    bucket.put("mapped", content)
    for number in range(12):
        bucket.put(f"{number}", bytes(8 * MIB))
    assert (mount.path / "mapped").read_bytes() == content
    with open(mount.path / "mapped", "rb") as file:
        map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    for number in range(12):
        assert (mount.path / str(number)).read_bytes() == bytes(8 * MIB)
    assert map[:] == content
    map.close()


@pytest.mark.on("ministack")
def test_a_small_change_of_a_large_file_is_a_small_upload(mount, bucket):
    """Also where the kernel writes: because it reads the file already, or because it made it."""
    size = 64 * MIB
    content = bytearray(random.Random(5).randbytes(size))
    path = mount.path / "a"
    for number, prepare in enumerate((lambda: path.write_bytes(content), lambda: None)):
        prepare()
        mount.flush()
        reader = os.open(path, os.O_RDONLY)
        assert os.pread(reader, size, 0) == content
        writer = os.open(path, os.O_RDWR)
        for place in (0, 3 * MIB, 40 * MIB):
            sent = mount.status()["sentBytes"]
            os.pwrite(writer, b"%d" % (place + number), place)
            content[place:place + len(str(place + number))] = b"%d" % (place + number)
            mount.flush()
            assert mount.status()["sentBytes"] - sent < 20 * MIB
            assert bucket.get("a") == content
        os.pwrite(writer, b"end", 50 * MIB)
        content[50 * MIB:50 * MIB + 3] = b"end"
        os.close(writer)
        os.close(reader)
        sent = mount.status()["sentBytes"]
        mount.flush()
        assert mount.status()["sentBytes"] - sent < 20 * MIB
        assert bucket.get("a") == content


@pytest.mark.on("ministack")
def test_a_small_change_before_a_death_is_a_small_upload(mount, bucket):
    content = bytearray(random.Random(6).randbytes(64 * MIB))
    path = mount.path / "a"
    path.write_bytes(content)
    mount.flush()
    wait_until(lambda: list((mount.cache / "content").glob("*/*.sum")), 20, "digests of what the bucket has")
    file = os.open(path, os.O_RDWR)
    os.pwrite(file, b"some", 5 * MIB)
    assert not needs_daemon(mount, lambda: os.pwrite(file, b"more", 7 * MIB))
    content[5 * MIB:5 * MIB + 4], content[7 * MIB:7 * MIB + 4] = b"some", b"more"
    mount.kill()
    with contextlib.suppress(OSError):
        os.close(file)
    mount.mount()
    mount.flush()
    assert mount.status()["sentBytes"] < 20 * MIB
    assert bucket.get("a") == content == path.read_bytes()


def test_set_id_bits(mounts, bucket):
    mount = mounts(bucket, ON, "--allow-other")
    path = mount.path / "a"
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o777)
    os.chmod(path, 0o6777)
    os.write(file, b"root")
    assert os.stat(path).st_mode & 0o7777 == 0o6777
    code = "import os, sys; os.setgroups([]); os.setgid(1000); os.setuid(1000); os.write(int(sys.argv[1]), b'user')"
    run(sys.executable, "-c", code, file, pass_fds=[file])
    assert os.stat(path).st_mode & 0o7777 == 0o777
    os.close(file)


WRITER = """
import mmap, os, sys, time
path, kind = sys.argv[1:]
size = 400_000
file = os.open(path, os.O_CREAT | {"append": os.O_WRONLY}.get(kind, os.O_RDWR))
if kind != "append":
    os.ftruncate(file, size)
if kind == "map":
    map = mmap.mmap(file, size)
    os.close(file)
for number in range(1, size // 8):
    text = b"%08d" % number
    if kind == "append":
        os.write(file, text)
    elif kind == "write":
        os.pwrite(file, text, number * 8)
    else:
        map[number * 8:number * 8 + 8] = text
    os.write(1, b"%d\\n" % number)
    time.sleep(0.0005)
"""


@contextlib.contextmanager
def writers(mount, kinds=("append", "write", "map")):
    """Programs that say what they have written: by kind, the last number of each."""
    started = {
        kind: subprocess.Popen(
            [sys.executable, "-c", WRITER, mount.path / kind, kind], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        for kind in kinds}
    said = {}

    def listen(kind):
        for line in started[kind].stdout:
            said[kind] = int(line)

    threads = [threading.Thread(target=listen, args=(kind,)) for kind in kinds]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(said.get(kind, 0) > 50 for kind in kinds), 20, "programs that write")
    try:
        yield said
    finally:
        for process in started.values():
            process.kill()
            process.wait(20)
        for thread in threads:
            thread.join(20)


def expected(kind, last):
    numbers = b"".join(b"%08d" % number for number in range(1, last + 1))
    return numbers if kind == "append" else bytes(8) + numbers


@pytest.mark.timeout(150)
def test_killed_while_the_kernel_writes(mount, bucket):
    for round in range(4):
        with writers(mount) as said:
            time.sleep(0.2 + 0.3 * round)
            mount.kill()
            # They go on for a while with what they have open.
            time.sleep(0.1)
        mount.mount()
        check(mount, bucket, said)
        for name in said:
            (mount.path / name).unlink()


def check(mount, bucket, said):
    mount.flush()
    for kind, last in said.items():
        content = (mount.path / kind).read_bytes()
        assert content.startswith(expected(kind, last)), f"{kind}: something of {last} is missing"
        assert bucket.get(kind) == content, kind


@pytest.mark.timeout(150)
def test_takeover_while_the_kernel_writes(mount, bucket):
    big = random.Random(4).randbytes(20 * MIB)
    (mount.path / "big").write_bytes(big)
    mount.flush()
    reader = os.open(mount.path / "big", os.O_RDONLY)
    with writers(mount) as said:
        for _ in range(3):
            time.sleep(0.3)
            mount.kill_daemon()
            # What is opened now must be opened as the former daemon did.
            for kind, last in said.copy().items():
                with open(mount.path / kind, "r+b") as file:
                    assert file.read().startswith(expected(kind, last)), kind
            with open(mount.path / "big", "rb") as again, open(mount.path / "big", "r+b") as writer:
                assert again.read() == big == os.pread(reader, len(big), 0)
                os.pwrite(writer.fileno(), b"!", 7 * MIB)
                big = big[:7 * MIB] + b"!" + big[7 * MIB + 1:]
            time.sleep(1)
    os.close(reader)
    check(mount, bucket, said)
    assert bucket.get("big") == big
    # Nothing is left that keeps files from being opened otherwise.
    for name in said:
        with open(mount.path / name, "r+b") as file:
            file.truncate(3)
    mount.umount()


@pytest.mark.timeout(120)
def test_written_while_it_is_uploaded(mount, bucket):
    """Each version in the bucket is one that the file had after some system call or store."""
    blocks, size = 24, MIB
    path = mount.path / "a"
    file = os.open(path, os.O_CREAT | os.O_RDWR)
    os.ftruncate(file, blocks * size)
    map = mmap.mmap(file, 0)
    seen = set()
    deadline = time.monotonic() + 12
    version = 0
    while time.monotonic() < deadline:
        version += 1
        for block in range(blocks):
            if version % 2:
                os.pwrite(file, bytes([version % 256]) * size, block * size)
            else:
                map[block * size:(block + 1) * size] = bytes([version % 256]) * size
            if random.random() < 0.05:
                time.sleep(random.random() * 0.3)
        found = bucket.get("a") if "a" in bucket.keys() else b""
        states = [found[block * size:(block + 1) * size] for block in range(len(found) // size)]
        assert all(state == state[:1] * size for state in states), f"half a block in version {version}"
        numbers = [state[0] for state in states]
        assert numbers == sorted(numbers, reverse=True) or 255 in numbers, numbers
        seen.update(numbers)
    map.close()
    os.close(file)
    mount.flush()
    assert bucket.get("a") == path.read_bytes() == bytes([version % 256]) * size * blocks
    assert len(seen) > 2, "hardly anything was uploaded while it was written"


def listing(directory):
    return sorted(run("find", directory, "-type", "f", "-printf", "%P %s %m %T@\n").stdout.split("\n"))


@pytest.mark.timeout(120)
def test_both_ways_are_the_same(mounts, bucket):
    """What a program sees, and what the bucket gets, doesn't say who has written."""
    results = []
    for option in ((ON,), (OFF,)):
        mount = mounts(bucket, *option)
        directory = mount.path / "d"
        directory.mkdir()
        run("git", "init", "-q", directory / "git")
        run("sqlite3", directory / "db", "create table t (a); insert into t values (randomblob(0)); vacuum;")
        run("cp", "-a", "/usr/lib/python3/dist-packages/.", directory / "copy", check=False)
        run("tar", "-C", directory, "-cf", directory / "tar", "--sort=name", "copy", check=False)
        before = listing(directory / "copy"), run("sha256sum", directory / "tar").stdout.split()[0]
        mount.remount(*option, empty_cache=True)
        assert before == (listing(directory / "copy"), run("sha256sum", directory / "tar").stdout.split()[0])
        results.append(before)
        run("rm", "-r", directory)
        mount.flush()
        mount.umount()
    assert results[0] == results[1]
