"""write(2) and its kin, read(2), and what they mark"""
import errno
import mmap
import os
import random

import pytest

from calls import call, refused
from files import make, marking, mode, read, write
from people import alice

pytestmark = pytest.mark.root


def test_times(directory):
    make("regular", "a")
    file = os.open("a", os.O_RDWR)
    with marking((file, "mc"), (directory, "")):
        os.write(file, b"data")
    with marking((file, "")):
        os.write(file, b"")
    with marking((file, "")):
        os.close(os.open("a", os.O_RDONLY))
    os.close(file)


def test_access_time_is_relative(directory):
    """The first read after a change marks the access; the next ones leave it (relatime of mount(8))."""
    if os.statvfs(".").f_flag & os.ST_NOATIME:
        pytest.skip("mounted with noatime")
    write("a", b"data")
    with marking(("a", "a")):
        read("a")
    with marking(("a", "")):
        read("a")
    write("a", b"more")
    with marking(("a", "a")):
        read("a")
    # An old one is renewed daily.
    status = os.stat("a")
    os.utime("a", ns=(status.st_atime_ns - 2 * 86_400 * 10**9, status.st_mtime_ns))
    with open("a", "rb") as file:
        # What the kernel has in its memory it doesn't ask for.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with marking(("a", "a")):
        read("a")


def test_access_time_of_directories_and_links(directory):
    os.mkdir("d")
    make("regular", "d/a")
    with marking(("d", "a")):
        os.listdir("d")


def test_without_marking_the_access(directory):
    write("a", b"data")
    file = os.open("a", os.O_RDONLY | os.O_NOATIME)
    before = os.fstat(file).st_mtime_ns
    os.read(file, 10)
    assert os.fstat(file).st_mtime_ns == before
    os.close(file)


@pytest.mark.parametrize("size", [1, 4096, 1 << 20])
def test_takes_set_id_bits(directory, size):
    make("regular", "a", 0o6777)
    write("a", bytes(size))
    assert mode("a") == 0o6777
    os.chmod("a", 0o6777)

    def writes():
        file = os.open("a", os.O_WRONLY)
        os.write(file, bytes(size))
        return os.fstat(file).st_mode & 0o7777

    assert alice(writes) == 0o777 and mode("a") == 0o777
    # Without execution by the group it is no privilege.
    os.chmod("a", 0o4766)
    assert alice(writes) == 0o766


def test_beyond_the_end(directory):
    make("regular", "a")
    file = os.open("a", os.O_RDWR)
    assert os.pread(file, 10, 0) == b"" and os.pread(file, 10, 1 << 40) == b""
    os.pwrite(file, b"x", 100_000)
    assert os.fstat(file).st_size == 100_001 and os.pread(file, 200_000, 0) == bytes(100_000) + b"x"
    with refused(errno.EINVAL):
        call("pwrite", file, b"x", 1, -1)
    with refused(errno.EFBIG, errno.EINVAL):
        call("pwrite", file, b"x", 1, (1 << 63) - 1)
    assert os.fstat(file).st_size == 100_001
    os.close(file)


def test_access_modes(directory):
    write("a", b"data")
    reader, writer = os.open("a", os.O_RDONLY), os.open("a", os.O_WRONLY)
    with refused(errno.EBADF):
        os.write(reader, b"x")
    with refused(errno.EBADF):
        os.read(writer, 1)
    os.close(reader)
    os.close(writer)
    place = os.open(".", os.O_RDONLY)
    with refused(errno.EISDIR):
        os.read(place, 10)
    os.close(place)


def test_bad_address(directory):
    write("a", b"data")
    file = os.open("a", os.O_RDWR)
    with refused(errno.EFAULT):
        call("write", file, 1, 10)
    with refused(errno.EFAULT):
        call("read", file, 1, 10)
    assert os.fstat(file).st_size == 4
    os.close(file)


def test_appending_by_many(directory):
    """Each write goes to the end, whole, whoever else appends."""
    children = []
    for number in range(6):
        child = os.fork()
        if child == 0:
            file = os.open("log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            for line in range(100):
                os.write(file, f"{number} {line:3} {'x' * (20 * number)}\n".encode())
            os._exit(0)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    lines = read("log").decode().splitlines()
    assert len(lines) == 600
    for number in range(6):
        own = [line for line in lines if line.startswith(f"{number} ")]
        assert own == [f"{number} {line:3} {'x' * (20 * number)}" for line in range(100)]


def test_appending_ignores_the_position(directory):
    write("a", b"begin")
    file = os.open("a", os.O_RDWR | os.O_APPEND)
    os.lseek(file, 0, os.SEEK_SET)
    os.write(file, b" end")
    assert read("a") == b"begin end" and os.lseek(file, 0, os.SEEK_CUR) == 9
    os.close(file)


def test_vectors(directory):
    file = os.open("a", os.O_CREAT | os.O_RDWR)
    assert os.pwritev(file, [b"one", b"", b"two"], 5) == 6
    room = [bytearray(4), bytearray(10)]
    assert os.preadv(file, room, 3) == 8 and bytes(room[0] + room[1][:4]) == b"\0\0onetwo"
    os.close(file)


def test_direct(directory):
    """O_DIRECT reads what was written otherwise, and the other way round."""
    data = random.Random(1).randbytes(1 << 16)
    write("a", data)
    with mmap.mmap(-1, 1 << 16) as room:
        file = os.open("a", os.O_RDWR | os.O_DIRECT)
        assert os.preadv(file, [room], 0) == 1 << 16 and room[:] == data
        room[:] = data[::-1]
        assert os.pwritev(file, [room], 0) == 1 << 16
        os.close(file)
    assert read("a") == data[::-1]


def test_shared_map(directory):
    write("a", bytes(100_000))
    file = os.open("a", os.O_RDWR)
    with mmap.mmap(file, 100_000) as memory:
        memory[5000:5005] = b"map 1"
        assert os.pread(file, 5, 5000) == b"map 1"
        os.pwrite(file, b"write", 50_000)
        assert memory[50_000:50_005] == b"write"
        child = os.fork()
        if child == 0:
            with open("a", "r+b") as again, mmap.mmap(again.fileno(), 0) as other:
                fine = other[5000:5005] == b"map 1"
                other[99_995:] = b"other"
                other.flush()
            os._exit(0 if fine else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert memory[99_995:] == b"other"
        with marking((file, "mc")):
            memory[0:3] = b"end"
            memory.flush()
    os.close(file)
    content = read("a")
    assert content[5000:5005] == b"map 1" and content[50_000:50_005] == b"write"
    assert content[99_995:] == b"other" and content[:3] == b"end"


def test_private_map(directory):
    write("a", b"x" * 8192)
    with open("a", "rb") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE,
                                            prot=mmap.PROT_READ | mmap.PROT_WRITE) as memory:
        memory[:3] = b"own"
    assert read("a") == b"x" * 8192


def test_map_of_a_file_without_a_name(directory):
    write("a", b"x" * 8192)
    with open("a", "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    os.unlink("a")
    memory[4096:4100] = b"kept"
    memory.flush()
    assert memory[4096:4100] == b"kept"
    memory.close()
