"""statvfs(3), pathconf(3), statx(2)"""
import os

from files import NAME_MAX, PATH_MAX, write


def test_limits(directory):
    status = os.statvfs(".")
    assert status.f_namemax == NAME_MAX and status.f_bsize > 0 and status.f_frsize > 0
    assert status.f_blocks >= status.f_bfree >= status.f_bavail > 0
    assert os.pathconf(".", "PC_NAME_MAX") == NAME_MAX and os.pathconf(".", "PC_PATH_MAX") == PATH_MAX
    assert os.pathconf(".", "PC_NO_TRUNC") == 1 and os.pathconf(".", "PC_CHOWN_RESTRICTED") == 1


def test_of_a_descriptor(directory):
    write("a")
    with open("a") as file:
        assert os.fstatvfs(file.fileno()).f_namemax == NAME_MAX


def test_one_device(directory):
    os.mkdir("d")
    write("d/a")
    assert os.stat("d/a").st_dev == os.stat(".").st_dev
    assert os.stat("d/a").st_ino != os.stat("d").st_ino
    assert os.stat("d/a").st_blksize > 0 and os.stat("d/a").st_blocks > 0


def test_identities_are_not_reused(directory):
    """While a file is open its number is nobody else's."""
    write("a")
    file = os.open("a", os.O_RDONLY)
    number = os.fstat(file).st_ino
    os.unlink("a")
    for index in range(20):
        write(f"b{index}")
    assert number not in {os.stat(f"b{index}").st_ino for index in range(20)}
    os.close(file)
