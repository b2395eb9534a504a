"""The daemon dies, and nobody who uses the mount notices more than a pause.

PAIL_TAKEOVER_KILLS is how often, PAIL_TAKEOVER_SEED when."""
import ctypes
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import takeover_programs
from pail import PAIL, find_daemons, is_alive, is_mounted, run, wait_until
from test_commands import CACHE, MOUNT_POINT, OK

KILLS = int(os.environ.get("PAIL_TAKEOVER_KILLS", 8))
SEED = int(os.environ.get("PAIL_TAKEOVER_SEED", 20_262))
PROGRAMS = [program.__name__ for program in takeover_programs.PROGRAMS]


class Programs:
    def __init__(self, mount, place, names):
        self.stop = place / "stop"
        self.running = {}
        for name in names:
            (mount.path / name).mkdir()
            self.running[name] = subprocess.Popen(
                [sys.executable, takeover_programs.__file__, name, mount.path / name, self.stop],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def check(self):
        for name, process in self.running.items():
            assert process.poll() is None, f"{name}: {process.communicate()[1]}"

    def end(self):
        """How many rounds each has made."""
        self.stop.touch()
        rounds = {}
        for name, process in self.running.items():
            output, errors = process.communicate(timeout=90)
            assert process.returncode == 0, f"{name}: {errors}"
            rounds[name] = int(output)
        return rounds

    def kill(self):
        for process in self.running.values():
            process.kill()
            process.communicate(timeout=20)


@pytest.fixture
def programs(place):
    made = []

    def start(mount, names=PROGRAMS):
        made.append(Programs(mount, place, names))
        return made[-1]

    yield start
    for each in made:
        each.kill()


@pytest.mark.on("local", "seaweedfs")
@pytest.mark.timeout(180 + 8 * KILLS)
def test_programs_go_on(mount, bucket, programs):
    running = programs(mount)
    choose = random.Random(SEED)
    for number in range(KILLS):
        # Some follow so soon that the next daemon has hardly begun.
        time.sleep(choose.choice((0.15, 0.4, 1, 2)) * choose.uniform(0.5, 1.5))
        running.check()
        mount.kill_daemon()
        if number % 20 == 19:
            print(f"{number + 1} kills", flush=True)
    time.sleep(1)
    rounds = running.end()
    print(f"{KILLS} kills, rounds: {rounds}")
    assert all(rounds.values()), rounds
    assert mount.status()["restarts"] >= KILLS
    mount.flush()
    for name in ("logger/log", "rewriter/a", "mapper/a", "git/.git/HEAD"):
        assert bucket.get(name) == (mount.path / name).read_bytes(), name
    mount.remount(empty_cache=True)
    for name in ("sqlite_wal", "sqlite_rollback"):
        assert run("sqlite3", mount.path / name / "data.db", "pragma integrity_check").stdout == "ok\n"
    run("git", "-C", mount.path / "git", "fsck", "--full", "--strict")


@pytest.fixture
def orphaned(mount):
    """A mount whose daemon is dead and whose keeper does nothing about it until the test lets it."""
    (mount.path / "before").write_text("before")
    os.kill(mount.keeper, signal.SIGSTOP)
    mount.kill_daemon()
    yield mount
    carry_on(mount)


def carry_on(mount):
    if is_alive(mount.keeper):
        os.kill(mount.keeper, signal.SIGCONT)


@pytest.mark.on("local")
@pytest.mark.root
def test_unmounted_while_no_daemon_runs(orphaned, bucket):
    # Not umount(8), which looks at the directory first.
    assert ctypes.CDLL(None).umount2(os.fsencode(orphaned.path), 0) == 0
    carry_on(orphaned)
    wait_until(lambda: not is_alive(orphaned.keeper), 30, "the keeper's end")
    assert bucket.get("before") == b"before"
    assert not find_daemons(orphaned.cache)


@pytest.mark.on("local")
def test_commands_wait_for_the_next_daemon(orphaned, bucket):
    umount = subprocess.Popen([PAIL, "umount", orphaned.path], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=orphaned.environment)
    try:
        time.sleep(0.5)
        assert umount.poll() is None
        carry_on(orphaned)
        assert umount.wait(timeout=30) == OK
        assert bucket.get("before") == b"before"
        assert not is_mounted(orphaned.path)
    finally:
        umount.kill()
        umount.wait(timeout=20)


@pytest.mark.on("local")
def test_nobody_else_gets_its_place(orphaned, bucket, place):
    other = place / "other"
    other.mkdir()
    arguments = ["--cache-dir", orphaned.cache]
    carry_on(orphaned)
    second = orphaned.command("mount", bucket.address, other, *arguments, check=False)
    assert second.returncode == CACHE, second.stderr
    again = orphaned.command("mount", bucket.address, orphaned.path, *arguments, check=False)
    assert again.returncode == MOUNT_POINT and "mount point already" in again.stderr
    assert (orphaned.path / "before").read_text() == "before"


@pytest.mark.on("local")
@pytest.mark.parametrize("who", ["keeper", "daemon"])
def test_told_to_end(mount, bucket, who):
    (mount.path / "a").write_text("x")
    mount.kill_daemon()
    assert (mount.path / "a").read_text() == "x"
    os.kill(mount.keeper if who == "keeper" else mount.daemon(), signal.SIGTERM)
    wait_until(lambda: not find_daemons(mount.cache), 30, "the end of both")
    assert not is_mounted(mount.path)
    assert bucket.get("a") == b"x"


@pytest.mark.on("local")
def test_keeper_killed(mount, bucket):
    """The daemon alone serves as before."""
    keeper = mount.keeper
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not is_alive(keeper), 20, "the keeper's death")
    (mount.path / "a").write_text("x")
    mount.umount()
    assert bucket.get("a") == b"x"


@pytest.mark.on("local")
def test_nameless_files_are_removed(mount):
    """What the kernel has let go of does not stay in the cache: neither before nor after a death."""
    def contents():
        return sum(not path.name.endswith(".map") for path in Path(mount.cache, "content").glob("??/*"))

    for name in "ab":
        (mount.path / name).write_bytes(b"x" * 100_000)
    first = os.open(mount.path / "a", os.O_RDONLY)
    os.unlink(mount.path / "a")
    mount.kill_daemon()
    (mount.path / "c").touch()
    assert contents() == 3
    second = os.open(mount.path / "b", os.O_RDONLY)
    os.unlink(mount.path / "b")
    assert os.pread(first, 5, 0) == os.pread(second, 5, 0) == b"xxxxx"
    os.close(first)
    os.close(second)
    wait_until(lambda: contents() == 1, 20, "the removal of what has no name")
