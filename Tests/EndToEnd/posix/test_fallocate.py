"""fallocate(2), posix_fallocate(3), lseek(2) to data and holes"""
import errno
import os

import pytest

from calls import (FALLOC_COLLAPSE_RANGE, FALLOC_INSERT_RANGE, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE,
                   fallocate, refused)
from files import make, marking, mode, read
from people import alice

pytestmark = pytest.mark.root
DATA = bytes(range(1, 255)) * 259


@pytest.fixture
def file(directory):
    file = os.open("a", os.O_CREAT | os.O_RDWR)
    os.write(file, DATA)
    yield file
    os.close(file)


def content(file):
    return os.pread(file, len(DATA) * 3, 0)


def test_growing(directory):
    file = os.open("a", os.O_CREAT | os.O_RDWR)
    with marking((file, "mc")):
        os.posix_fallocate(file, 0, 567)
    assert os.fstat(file).st_size == 567
    os.posix_fallocate(file, 20_000, 3456)
    assert os.fstat(file).st_size == 23_456 and content(file) == bytes(23_456)
    # Never smaller.
    os.posix_fallocate(file, 0, 10)
    assert os.fstat(file).st_size == 23_456
    fallocate(file, FALLOC_KEEP_SIZE, 0, 1 << 20)
    assert os.fstat(file).st_size == 23_456
    os.close(file)


def test_punching(file):
    with marking((file, "mc")):
        fallocate(file, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 1000, 9000)
    assert content(file) == DATA[:1000] + bytes(9000) + DATA[10_000:]
    fallocate(file, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, len(DATA) - 10, 5000)
    assert content(file) == DATA[:1000] + bytes(9000) + DATA[10_000:-10] + bytes(10)
    with refused(errno.EOPNOTSUPP):
        fallocate(file, FALLOC_PUNCH_HOLE, 0, 100)


def test_zeroing(file):
    fallocate(file, FALLOC_ZERO_RANGE, 5000, 5000)
    fallocate(file, FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE, len(DATA) - 5, 1000)
    expected = DATA[:5000] + bytes(5000) + DATA[10_000:-5] + bytes(5)
    assert content(file) == expected
    fallocate(file, FALLOC_ZERO_RANGE, len(DATA), 300)
    assert content(file) == expected + bytes(300)


@pytest.mark.parametrize("flag", [FALLOC_COLLAPSE_RANGE, FALLOC_INSERT_RANGE])
def test_moving_bytes(ground, file, flag):
    if not os.path.ismount(ground):
        pytest.skip("others may be able to")
    with marking((file, "")):
        with refused(errno.EOPNOTSUPP):
            fallocate(file, flag, 4096, 4096)
    assert content(file) == DATA


def test_bad_ranges(file):
    with marking((file, "")):
        for offset, length in ((-1, 10), (0, 0), (10, -1), (-5, -5)):
            with refused(errno.EINVAL):
                fallocate(file, 0, offset, length)
        with refused(errno.EFBIG):
            fallocate(file, 0, (1 << 63) - 10, 5)
        with refused(errno.EOPNOTSUPP):
            fallocate(file, 1 << 15, 0, 10)


def test_bad_files(file):
    reader = os.open("a", os.O_RDONLY)
    with refused(errno.EBADF):
        fallocate(reader, 0, 0, 10)
    os.close(reader)
    make("fifo", "f")
    fifo = os.open("f", os.O_RDWR)
    with refused(errno.ESPIPE, errno.ENODEV):
        fallocate(fifo, 0, 0, 10)
    os.close(fifo)


def test_takes_set_id_bits(file):
    os.chmod("a", 0o6777)

    def allocates():
        file = os.open("a", os.O_WRONLY)
        os.posix_fallocate(file, 0, 100)
        os.close(file)

    alice(allocates)
    assert mode("a") == 0o777


def test_holes(directory):
    file = os.open("a", os.O_CREAT | os.O_RDWR)
    for place in (1 << 20, 5 << 20, 9 << 20):
        os.pwrite(file, b"x" * 65_536, place)
    os.ftruncate(file, 20 << 20)
    found, position = [], 0
    while True:
        try:
            data = os.lseek(file, position, os.SEEK_DATA)
        except OSError as error:
            assert error.errno == errno.ENXIO
            break
        position = os.lseek(file, data, os.SEEK_HOLE)
        found.append((data, position - data))
    assert found == [(place, 65_536) for place in (1 << 20, 5 << 20, 9 << 20)]
    assert os.lseek(file, 0, os.SEEK_HOLE) == 0 and os.lseek(file, 12 << 20, os.SEEK_HOLE) == 12 << 20
    assert os.fstat(file).st_blocks * 512 < 1 << 20
    os.close(file)
    # Nor does it take more space when nobody has it open.
    assert os.stat("a").st_blocks * 512 < 1 << 20
    assert read("a")[5 << 20:(5 << 20) + 10] == b"x" * 10


def test_seeking(file):
    size = len(DATA)
    assert os.lseek(file, 0, os.SEEK_HOLE) == size and os.lseek(file, 5, os.SEEK_DATA) == 5
    for whence in (os.SEEK_HOLE, os.SEEK_DATA):
        with refused(errno.ENXIO):
            os.lseek(file, size, whence)
        with refused(errno.ENXIO, errno.EINVAL):
            os.lseek(file, -1, whence)
    assert os.lseek(file, 10, os.SEEK_END) == size + 10
    with refused(errno.EINVAL):
        os.lseek(file, -size - 20, os.SEEK_CUR)
    with refused(errno.EINVAL):
        os.lseek(file, 0, 77)
