"""truncate(2), ftruncate(2)"""
import errno
import os
import resource

import pytest

from calls import call, refused
from files import make, marking, mode, read, write
from people import alice, bob

pytestmark = pytest.mark.root


def by_path(path, size):
    os.truncate(path, size)


def by_descriptor(path, size):
    file = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(file, size)
    finally:
        os.close(file)


ways = pytest.mark.parametrize("truncate", [by_path, by_descriptor])


@ways
def test_sizes(directory, truncate):
    write("a", b"0123456789")
    with marking(("a", "mc"), (directory, "")):
        truncate("a", 4)
    assert read("a") == b"0123"
    # Reading marks the access, once.
    with marking(("a", "mc")):
        truncate("a", 9000)
    assert read("a") == b"0123" + bytes(8996)
    truncate("a", 0)
    truncate("a", 3)
    assert read("a") == bytes(3)


@ways
def test_huge_and_sparse(directory, truncate):
    make("regular", "a")
    size = 5 << 40
    truncate("a", size)
    status = os.stat("a")
    assert status.st_size == size and status.st_blocks * 512 < 1 << 20
    file = os.open("a", os.O_RDWR)
    assert os.pread(file, 100, size - 50) == bytes(50)
    os.pwrite(file, b"end", size - 3)
    assert os.pread(file, 10, size - 5) == b"\0\0end"
    assert os.fstat(file).st_blocks * 512 < 1 << 20
    os.ftruncate(file, 0)
    os.close(file)


@ways
def test_bad_sizes(directory, truncate):
    make("regular", "a")
    with marking(("a", "")):
        with refused(errno.EINVAL):
            truncate("a", -1)
        with refused(errno.EINVAL, errno.EFBIG):
            truncate("a", (1 << 63) - 1)
    assert os.stat("a").st_size == 0


def test_limit_of_the_process(directory):
    make("regular", "a")

    def beyond():
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        os.truncate("a", 1000)
        with refused(errno.EFBIG):
            os.truncate("a", 1001)
        with open("a", "r+b", buffering=0) as file:
            assert os.pwrite(file.fileno(), bytes(100), 950) == 50
            with refused(errno.EFBIG):
                os.pwrite(file.fileno(), b"x", 1000)

    os.chown("a", alice.uid, alice.gid)
    alice(beyond)


@pytest.mark.parametrize("kind,number", [("directory", errno.EISDIR), ("fifo", errno.EINVAL),
                                         ("char", errno.EINVAL), ("socket", errno.EINVAL)])
def test_of_other_kinds(directory, kind, number):
    make(kind, "a")
    with marking(("a", "")):
        with refused(number):
            os.truncate("a", 1)


def test_permissions(directory):
    make("regular", "a", 0o644, owner=alice)
    with marking(("a", "")):
        with refused(errno.EACCES):
            bob(os.truncate, "a", 0)
    alice(os.truncate, "a", 5)
    os.chmod("a", 0o444)
    with refused(errno.EACCES):
        alice(os.truncate, "a", 0)

    def keeps_its_right():
        file = os.open("b", os.O_CREAT | os.O_RDWR, 0)
        os.ftruncate(file, 77)
        return os.fstat(file).st_size

    os.chmod(directory, 0o777)
    assert alice(keeps_its_right) == 77


def test_descriptor_for_reading(directory):
    write("a")
    with open("a", "rb") as file, refused(errno.EINVAL, errno.EBADF):
        os.ftruncate(file.fileno(), 0)
    with refused(errno.EBADF):
        call("ftruncate", 9999, 0)
    reading, writing = os.pipe()
    with refused(errno.EINVAL):
        os.ftruncate(writing, 0)
    os.close(reading)
    os.close(writing)


@ways
def test_set_id_bits(directory, truncate):
    write("a", b"some")
    os.chmod("a", 0o6777)
    truncate("a", 2)
    # Privilege to keep them counts.
    by_root = mode("a")
    os.chmod("a", 0o6777)
    alice(truncate, "a", 1)
    assert mode("a") == 0o777
    assert by_root in (0o6777, 0o777)
