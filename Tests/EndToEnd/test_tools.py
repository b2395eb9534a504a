"""Programs that people use, on a mount over S3 and over a local bucket."""
import os
import random
import shutil
import sqlite3
import subprocess
import sys

import pytest

import trees
from pail import environment, run

SOURCES = 200


def make_project(folder):
    """A C project: a file a function, a header each, and a main that adds up what they return."""
    folder.mkdir()
    names = [f"part{number}" for number in range(SOURCES)]
    for number, name in enumerate(names):
        sub = folder / f"lib{number % 10}"
        sub.mkdir(exist_ok=True)
        (sub / f"{name}.h").write_text(f"int {name}(int);\n")
        (sub / f"{name}.c").write_text(f'#include "{name}.h"\nint {name}(int x) {{ return x + {number}; }}\n')
    includes = "".join(f'#include "lib{number % 10}/{name}.h"\n' for number, name in enumerate(names))
    total = " + ".join(f"{name}(0)" for name in names)
    (folder / "main.c").write_text(f'#include <stdio.h>\n{includes}int main(void) {{ printf("%d\\n", {total}); }}\n')
    (folder / "Makefile").write_text(
        "OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c lib*/*.c))\n"
        "program: $(OBJECTS)\n\t$(CC) -o $@ $^\n%.o: %.c\n\t$(CC) -O0 -c -o $@ $<\n"
        "clean:\n\trm -f program $(OBJECTS)\n")


@pytest.mark.timeout(240)
def test_git_and_make(mount, place):
    origin = place / "origin"
    make_project(origin)
    env = environment(place, GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@example.org", GIT_COMMITTER_NAME="a",
                      GIT_COMMITTER_EMAIL="a@example.org", GIT_CONFIG_NOSYSTEM=1)
    run("git", "init", "-q", "-b", "main", origin, env=env)
    run("git", "-C", origin, "add", ".", env=env)
    run("git", "-C", origin, "commit", "-qm", "first", env=env)
    clone = mount.path / "clone"
    run("git", "clone", "-q", "--no-hardlinks", origin, clone, env=env, timeout=100)
    run("git", "-C", clone, "fsck", "--full", "--strict", env=env, timeout=100)
    run("make", "-s", "-j2", "-C", clone, env=env, timeout=150)
    program = run(clone / "program")
    assert int(program.stdout) == sum(range(SOURCES))
    assert "is up to date" in run("make", "-C", clone, env=env).stdout
    status = run("git", "-C", clone, "status", "--porcelain", "--untracked-files=no", env=env)
    assert status.stdout == ""
    (clone / "main.c").write_text((clone / "main.c").read_text() + "/* more */\n")
    run("git", "-C", clone, "commit", "-qam", "second", env=env)
    run("git", "-C", clone, "gc", "-q", env=env, timeout=100)
    mount.remount(empty_cache=True)
    run("git", "-C", clone, "fsck", "--full", "--strict", env=env, timeout=100)
    assert run("git", "-C", clone, "log", "--format=%s", env=env).stdout == "second\nfirst\n"
    assert run(clone / "program").stdout == program.stdout


WRITER = """
import sqlite3, sys
path, mode, who, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
connection = sqlite3.connect(path, timeout=60, isolation_level=None)
connection.execute(f"pragma journal_mode={mode}")
for number in range(count):
    connection.execute("begin immediate")
    connection.execute("insert into t values (?, ?, randomblob(500))", (who, number))
    connection.execute("update counter set n = n + 1")
    connection.execute("commit")
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_sqlite_with_two_processes(mount, mode):
    path = mount.path / "data.db"
    count = 60
    connection = sqlite3.connect(path, isolation_level=None)
    assert connection.execute(f"pragma journal_mode={mode}").fetchone() == (mode,)
    connection.executescript(
        "create table t (who, number, data); create table counter (n); insert into counter values (0)")
    connection.close()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, path, mode, who, str(count)], stdin=subprocess.DEVNULL)
        for who in "ab"
    ]
    try:
        assert [writer.wait(timeout=90) for writer in writers] == [0, 0]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait(timeout=20)
    check_database(path, 2 * count)
    mount.remount(empty_cache=True)
    check_database(path, 2 * count)


def check_database(path, count):
    connection = sqlite3.connect(path)
    assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert connection.execute("select n from counter").fetchone() == (count,)
    assert connection.execute("select count(*) from t").fetchone() == (count,)
    connection.close()


def test_rsync_there_and_back(mount, place):
    source = place / "source"
    trees.make_tree(source)
    run("rsync", "-a", f"{source}/", mount.path / "copy")
    again = run("rsync", "-ain", "--checksum", f"{source}/", mount.path / "copy")
    assert again.stdout == ""
    mount.remount(empty_cache=True)
    run("rsync", "-a", "--checksum", f"{mount.path}/copy/", place / "back")
    trees.assert_equal(source, place / "back")


def test_tar(mount, place):
    source = place / "source"
    trees.make_tree(source, seed=2)
    run("tar", "--format=posix", "-C", place, "-cf", mount.path / "a.tar", "source")
    run("tar", "-C", mount.path, "-xpf", mount.path / "a.tar")
    trees.assert_equal(source, mount.path / "source")
    run("tar", "--format=posix", "-C", mount.path, "-czf", place / "b.tgz", "source")
    run("tar", "-C", place, "-xpzf", place / "b.tgz", "--transform", "s/^source/back/")
    trees.assert_equal(source, place / "back")


def test_copy_of_a_tree_survives_an_empty_cache(mount, place):
    source = place / "source"
    trees.make_tree(source, seed=3)
    run("cp", "-a", source, mount.path / "copy")
    trees.assert_equal(source, mount.path / "copy")
    mount.remount(empty_cache=True)
    trees.assert_equal(source, mount.path / "copy")
    shutil.rmtree(mount.path / "copy")
    mount.flush()
    assert mount.bucket.keys() == {}


def test_editors_that_write_beside_and_rename(mount):
    path = mount.path / "text"
    for number in range(20):
        beside = mount.path / f".text.{number}"
        with open(beside, "w") as file:
            file.write(f"version {number}\n" * 100)
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, path)
        assert path.read_text().startswith(f"version {number}\n")
    mount.flush()
    assert mount.bucket.keys() == {"text": len("version 19\n") * 100}


def test_log_that_grows(mount):
    lines = []
    with open(mount.path / "log", "a", buffering=1) as file:
        for number in range(500):
            lines.append(f"line {number} {random.random()}\n")
            file.write(lines[-1])
    assert (mount.path / "log").read_text() == "".join(lines)
    mount.flush()
    assert mount.bucket.get("log").decode() == "".join(lines)
