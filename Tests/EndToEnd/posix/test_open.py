"""open(2)"""
import errno
import os
import shutil
import stat
import subprocess

import pytest

from calls import refused
from files import KINDS, SPECIAL, links, make, marking, mode, owner, read, write
from people import User, alice, bob, carol, root

pytestmark = pytest.mark.root
O_TMPFILE = os.O_TMPFILE


def attempt(path, flags, mode=0o644):
    os.close(os.open(path, flags, mode))


@pytest.mark.parametrize("user", [root, alice], ids=str)
def test_creating(directory, user):
    os.chmod(directory, 0o777)
    with marking((directory, "mc")):
        user(attempt, "a", os.O_CREAT | os.O_WRONLY, 0o755)
    assert mode("a") == 0o755 and owner("a") == (user.uid, user.gid) and os.stat("a").st_size == 0
    status = os.stat("a")
    assert status.st_atime_ns == status.st_mtime_ns == status.st_ctime_ns
    user(attempt, "b", os.O_CREAT | os.O_WRONLY, 0o151, umask=0o070)
    assert mode("b") == 0o101
    user(attempt, "c", os.O_CREAT | os.O_WRONLY, 0o7777, umask=0)
    assert mode("c") == 0o7777


def test_creating_what_is_there(directory):
    write("a", b"kept")
    with marking((directory, ""), ("a", "")):
        attempt("a", os.O_CREAT | os.O_WRONLY, 0o600)
    assert read("a") == b"kept" and mode("a") == 0o644


@pytest.mark.parametrize("kind", KINDS)
def test_exclusive(directory, kind):
    make(kind, "a")
    with marking((directory, ""), ("a", "")):
        with refused(errno.EEXIST):
            os.open("a", os.O_CREAT | os.O_EXCL | os.O_RDWR)


def test_exclusive_by_many(directory):
    """One of them makes it, whoever is first."""
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            made = 0
            for number in range(20):
                try:
                    os.close(os.open(f"n{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                    made += 1
                except FileExistsError:
                    pass
            os._exit(made)
        children.append(child)
    assert sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children) == 20


@pytest.mark.parametrize("content", [b"", b"some"])
def test_truncating(directory, content):
    write("a", content)
    with marking((directory, ""), ("a", "mc")):
        attempt("a", os.O_WRONLY | os.O_TRUNC)
    assert os.stat("a").st_size == 0


def test_truncating_takes_set_id_bits(directory):
    write("a", b"some")
    os.chmod("a", 0o6777)
    attempt("a", os.O_WRONLY | os.O_TRUNC)
    assert mode("a") == 0o6777
    write("a", b"some")
    os.chmod("a", 0o6777)
    alice(attempt, "a", os.O_WRONLY | os.O_TRUNC)
    assert mode("a") == 0o777 and os.stat("a").st_size == 0


@pytest.mark.parametrize("bits,may", [(0, ""), (4, "r"), (2, "w"), (1, ""), (6, "rw"), (7, "rw")])
def test_permissions(directory, bits, may):
    asked = {os.O_RDONLY: "r", os.O_WRONLY: "w", os.O_RDWR: "rw"}
    for user, shift in ((alice, 6), (User(bob.uid, alice.gid), 3), (carol, 3), (bob, 0)):
        make("regular", "a", (bits << shift) | (0o777 & ~(7 << shift)), owner=alice)
        for flags, needed in asked.items():
            if set(needed) <= set(may):
                user(attempt, "a", flags)
            else:
                with refused(errno.EACCES):
                    user(attempt, "a", flags)
        with refused(errno.EACCES) if "w" not in may else marking():
            user(attempt, "a", os.O_RDONLY | os.O_TRUNC) if "r" in may else user(attempt, "a", os.O_WRONLY)
        os.unlink("a")


def test_creating_needs_a_writable_directory(directory):
    make("directory", "d", 0o755, owner=alice)
    with marking(("d", "")):
        with refused(errno.EACCES):
            bob(attempt, "d/a", os.O_CREAT | os.O_WRONLY)
    # What is created is open with any mode.
    alice(attempt, "d/a", os.O_CREAT | os.O_RDWR, 0)
    assert mode("d/a") == 0


def test_group_of_the_directory(directory):
    os.chown(directory, 0, bob.gid)
    os.chmod(directory, 0o2777)
    alice(attempt, "a", os.O_CREAT | os.O_WRONLY, 0o755)
    assert owner("a") == (alice.uid, bob.gid)
    # Set-group-ID of a group that one isn't in is not to be had so.
    alice(attempt, "b", os.O_CREAT | os.O_WRONLY, 0o2755)
    assert mode("b") == 0o755
    User(alice.uid, alice.gid, bob.gid)(attempt, "c", os.O_CREAT | os.O_WRONLY, 0o2755)
    assert mode("c") == 0o2755


def test_directories(directory):
    os.mkdir("d")
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_CREAT | os.O_WRONLY):
        with refused(errno.EISDIR):
            os.open("d", flags)
    write("a")
    with refused(errno.ENOTDIR):
        os.open("a", os.O_RDONLY | os.O_DIRECTORY)
    with refused(errno.EISDIR, errno.EINVAL):
        os.open("d", os.O_CREAT | os.O_DIRECTORY | os.O_RDONLY)


def test_links(directory):
    write("a", b"there")
    os.symlink("a", "l")
    os.symlink("missing", "dangling")
    with refused(errno.ELOOP):
        os.open("l", os.O_RDONLY | os.O_NOFOLLOW)
    with refused(errno.EEXIST):
        os.open("dangling", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    with refused(errno.ENOENT):
        os.open("dangling", os.O_RDONLY)
    attempt("dangling", os.O_CREAT | os.O_WRONLY)
    assert os.stat("missing").st_size == 0


def test_fifo(directory):
    os.mkfifo("f")
    with refused(errno.ENXIO):
        os.open("f", os.O_WRONLY | os.O_NONBLOCK)
    attempt("f", os.O_RDONLY | os.O_NONBLOCK)
    attempt("f", os.O_CREAT | os.O_RDWR)
    assert stat.S_ISFIFO(os.stat("f").st_mode)


def test_socket(directory):
    make("socket", "s")
    for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT):
        with refused(errno.ENXIO):
            os.open("s", flags)


def test_running_program(directory):
    shutil.copy("/bin/sleep", "program")
    os.chmod("program", 0o755)
    process = subprocess.Popen([directory / "program", "60"])
    try:
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC):
            with refused(errno.ETXTBSY):
                os.open("program", flags)
        with refused(errno.ETXTBSY):
            os.truncate("program", 123)
        attempt("program", os.O_RDONLY)
        # It is refused before anything happens.
        assert os.stat("program").st_size == os.stat("/bin/sleep").st_size
    finally:
        process.kill()
        process.wait()
    with open("program", "r+b"), refused(errno.ETXTBSY):
        subprocess.run([directory / "program", "0"])


def test_nothing_is_executable_for_root_without_a_bit(directory):
    shutil.copy("/bin/true", "program")
    os.chmod("program", 0o644)
    with refused(errno.EACCES):
        subprocess.run([directory / "program"])
    os.chmod("program", 0o755)
    subprocess.run([directory / "program"], check=True)


def test_bad_flags(directory):
    write("a")
    with refused(errno.EINVAL):
        os.open("d", O_TMPFILE | os.O_RDONLY)


def test_without_a_name(directory):
    """O_TMPFILE"""
    file = os.open(".", O_TMPFILE | os.O_RDWR, 0o640)
    assert os.listdir(".") == [] and os.fstat(file).st_nlink == 0
    assert stat.S_IMODE(os.fstat(file).st_mode) == 0o640
    os.write(file, b"content")
    assert os.pread(file, 10, 0) == b"content"
    root_directory = os.open("/", os.O_RDONLY)
    os.link(f"/proc/self/fd/{file}", os.path.abspath("named"), src_dir_fd=root_directory)
    assert os.fstat(file).st_nlink == links("named") == 1 and read("named") == b"content"
    os.close(file)
    # Never to be named.
    file = os.open(".", O_TMPFILE | os.O_RDWR | os.O_EXCL)
    with refused(errno.ENOENT):
        os.link(f"/proc/self/fd/{file}", os.path.abspath("other"), src_dir_fd=root_directory)
    os.close(file)
    os.close(root_directory)
    assert os.listdir(".") == ["named"] and read("named") == b"content"


def test_special_files_have_no_content(directory):
    for kind in SPECIAL:
        make(kind, kind)
        assert os.lstat(kind).st_size == 0
