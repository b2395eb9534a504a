"""Programs that use a mount while its daemon dies again and again. None of them may notice.

`python3 takeover_programs.py NAME DIRECTORY STOP`: rounds until the file STOP is there, then prints how many. Whatever
goes wrong is an exception. DIRECTORY is the program's own, empty, on the mount."""
import ctypes
import hashlib
import itertools
import mmap
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

HERE = Path(sys.argv[2] if len(sys.argv) > 3 else ".")
BLOCK = 64 << 10


def database(mode):
    connection = sqlite3.connect(HERE / "data.db", timeout=60, isolation_level=None)
    connection.execute(f"pragma journal_mode={mode}")
    connection.execute("pragma synchronous=normal")
    connection.execute("create table t (number, data)")
    for number in itertools.count():
        yield
        connection.execute("insert into t values (?, randomblob(3000))", (number,))
        found = connection.execute("select count(*) from t").fetchone()
        assert found == (number + 1,), f"{found[0]} rows instead of {number + 1}"
        if number % 50 == 0:
            assert connection.execute("pragma integrity_check").fetchone() == ("ok",)


def sqlite_wal():
    return database("wal")


def sqlite_rollback():
    return database("delete")


def git():
    def run(*arguments):
        command = ["git", "-C", HERE, "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "gc.auto=0"]
        result = subprocess.run(
            [*command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        assert result.returncode == 0, f"git {arguments}: {result.stdout}{result.stderr}"
        return result.stdout

    run("init", "-q", "-b", "main")
    for number in itertools.count(1):
        yield
        (HERE / f"file{number % 7}").write_text(f"{number}\n" * 100)
        run("add", ".")
        run("commit", "-qm", str(number))
        assert run("rev-list", "--count", "HEAD") == f"{number}\n"
        if number % 10 == 0:
            run("fsck", "--full", "--strict")
            run("repack", "-qad")


def logger():
    """Two descriptors append to one file; each line must be there once, whole, and in its writer's order."""
    files = [os.open(HERE / "log", os.O_CREAT | os.O_APPEND | os.O_WRONLY) for _ in range(2)]
    for number in itertools.count():
        yield
        for writer, file in enumerate(files):
            line = f"{writer} {number} {'x' * (number % 300)}\n".encode()
            assert os.write(file, line) == len(line)
        if number % 100 == 0:
            lines = (HERE / "log").read_text().splitlines()
            seen = [tuple(map(int, line.split()[:2])) for line in lines]
            assert seen == [(who, n) for n in range(number + 1) for who in range(2)], f"after {number}"


def rewriter():
    """Writes a file anew in blocks, syncs, and reads it back through another descriptor."""
    choose = random.Random(7)
    file = os.open(HERE / "a", os.O_CREAT | os.O_RDWR)
    for _ in itertools.count():
        yield
        blocks = [choose.randbytes(BLOCK) for _ in range(choose.randrange(1, 20))]
        os.ftruncate(file, 0)
        for index, block in enumerate(blocks):
            assert os.pwrite(file, block, index * BLOCK) == BLOCK
        os.fsync(file)
        assert (HERE / "a").read_bytes() == b"".join(blocks)
        assert os.fstat(file).st_size == len(blocks) * BLOCK


def reader():
    """Reads one open file over and over."""
    content = random.Random(8).randbytes(40 * BLOCK)
    (HERE / "a").write_bytes(content)
    wanted = hashlib.sha256(content).digest()
    with open(HERE / "a", "rb", buffering=0) as file:
        while True:
            yield
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            file.seek(0)
            found = hashlib.sha256()
            while block := file.read(BLOCK):
                found.update(block)
            assert found.digest() == wanted


def names():
    """Calls that succeed once only."""
    for number in itertools.count():
        yield
        a, b, c = (HERE / f"{letter}{number}" for letter in "abc")
        os.mkdir(a)
        os.rename(a, b)
        os.rmdir(b)
        os.close(os.open(a, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.link(a, b)
        os.unlink(a)
        os.rename(b, c)
        os.symlink("nowhere", a)
        assert os.readlink(a) == "nowhere"
        exchange(a, c)
        assert os.path.islink(c) and not os.path.islink(a)
        os.setxattr(a, "user.x", b"1", os.XATTR_CREATE)
        os.removexattr(a, "user.x")
        os.mkfifo(b)
        os.unlink(b)
        os.unlink(a)
        os.unlink(c)
        assert os.listdir(HERE) == []


def exchange(first, second):
    # AT_FDCWD, RENAME_EXCHANGE
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(-100, os.fsencode(first), -100, os.fsencode(second), 2) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def lister():
    """A directory is read slowly while the daemon dies: each name once."""
    names = {f"file{number}" for number in range(300)}
    for name in names:
        (HERE / name).touch()
    while True:
        yield
        found = []
        with os.scandir(HERE) as entries:
            for number, entry in enumerate(entries):
                found.append(entry.name)
                if number % 150 == 0:
                    yield
        assert len(found) == len(names) and set(found) == names, f"{len(found)} names"


def nameless():
    """A file that has no name any more, and one that another was renamed over."""
    for number in itertools.count():
        content = random.Random(number).randbytes(200_000)
        (HERE / "a").write_bytes(content)
        (HERE / "b").write_bytes(content)
        (HERE / "c").write_bytes(b"new")
        first, second = os.open(HERE / "a", os.O_RDWR), os.open(HERE / "b", os.O_RDONLY)
        os.unlink(HERE / "a")
        os.rename(HERE / "c", HERE / "b")
        for step in range(5):
            yield
            assert os.fstat(first).st_nlink == 0
            for file in (first, second):
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                assert os.pread(file, len(content) + 1, 0) == content
            content = content[:step * 10_000] + b"changed" + content[step * 10_000 + 7:]
            os.pwrite(first, b"changed", step * 10_000)
            os.close(second)
            second = os.open(f"/proc/self/fd/{first}", os.O_RDONLY)
        os.ftruncate(first, 10)
        assert os.fstat(first).st_size == 10
        os.close(first)
        os.close(second)
        assert (HERE / "b").read_bytes() == b"new"
        os.unlink(HERE / "b")
        assert os.listdir(HERE) == []


def mapper():
    """Writes through a shared mapping."""
    size = 32 * mmap.PAGESIZE
    file = os.open(HERE / "a", os.O_CREAT | os.O_RDWR)
    os.ftruncate(file, size)
    memory = mmap.mmap(file, size)
    choose = random.Random(9)
    expected = bytearray(size)
    while True:
        yield
        for _ in range(20):
            place = choose.randrange(size - 100)
            expected[place:place + 100] = memory[place:place + 100] = choose.randbytes(100)
        memory.flush()
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.pread(file, size, 0) == expected
        assert memory[:] == expected


PROGRAMS = (
    sqlite_wal, sqlite_rollback, git, logger, rewriter, reader, names, lister, nameless, mapper)


def main():
    name, _, stop = sys.argv[1:]
    program = next(program for program in PROGRAMS if program.__name__ == name)
    rounds = 0
    for rounds, _ in enumerate(program()):
        if rounds and os.path.exists(stop):
            break
    print(rounds)


if __name__ == "__main__":
    main()
