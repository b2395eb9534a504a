"""The daemon dies, and nobody who uses the mount notices more than a pause.

PAIL_TAKEOVER_KILLS is how often, PAIL_TAKEOVER_SEED when."""
import ctypes
import os
import random
import signal
import socket
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


UNANSWERED_SECONDS = 12 + 2 * max(0, KILLS - 8)


class Programs:
    def __init__(self, mount, place, names):
        self.stop = place / "stop"
        self.running = {}
        for name in names:
            (mount.path / name).mkdir()
            self.running[name] = subprocess.Popen(
                [sys.executable, takeover_programs.__file__, name.rstrip("2"), mount.path / name, self.stop],
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


@pytest.mark.on("local")
@pytest.mark.timeout(180 + 8 * KILLS)
def test_programs_go_on(mount, bucket, programs):
    running = programs(mount)
    choose = random.Random(SEED)
    for number in range(KILLS):
        # Some follow so soon that the next daemon has hardly begun. It would be given up if too many did.
        if choose.random() < 0.85:
            os.statvfs(mount.path)
            time.sleep(choose.choice((0.1, 0.5, 1.5, 1.5)) * choose.uniform(0.8, 1.2))
        running.check()
        mount.kill_daemon()
        if number % 20 == 19:
            print(f"{number + 1} kills", flush=True)
    time.sleep(1)
    rounds = running.end()
    print(f"{KILLS} kills, rounds: {rounds}")
    assert all(rounds.values()), rounds
    assert mount.status()["restarts"] >= KILLS
    mount.flush(timeout=70 + KILLS)
    for name in ("logger/log", "rewriter/a", "mapper/a", "git/.git/HEAD"):
        assert bucket.get(name) == (mount.path / name).read_bytes(), name
    mount.remount(empty_cache=True)
    for name in ("sqlite_wal", "sqlite_rollback"):
        assert run("sqlite3", mount.path / name / "data.db", "pragma integrity_check").stdout == "ok\n"
    run("git", "-C", mount.path / "git", "fsck", "--full", "--strict")


@pytest.mark.on("local")
@pytest.mark.timeout(60 + 2 * UNANSWERED_SECONDS)
def test_killed_between_doing_and_answering(mounts, bucket, place, programs):
    """What was done and not answered is asked for again. It must not be done twice."""
    library = place / "die_before_answering.so"
    run("cc", "-shared", "-fPIC", "-o", library, Path(__file__).parent / "die_before_answering.c")
    mount = mounts(bucket, LD_PRELOAD=library)
    running = programs(mount, ["names", "names2", "logger", "nameless"])
    time.sleep(UNANSWERED_SECONDS)
    running.check()
    rounds = running.end()
    restarts = mount.status()["restarts"]
    print(f"{restarts} deaths, rounds: {rounds}")
    assert restarts >= UNANSWERED_SECONDS // 4 and all(rounds.values())


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


class Keeper:
    """Does what a keeper does, but tells the next daemon that the kernel can't send requests again."""

    def __init__(self, mount, bucket):
        self.command = [
            PAIL, "mount", "--foreground", bucket.address, mount.path, "--cache-dir", mount.cache, *mount.options]
        self.environment = mount.environment
        self.kept = ("", [])
        self.process = None

    def start(self):
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, pass_fds=[far.fileno()],
            env=self.environment | {"PAIL_KEEPER_FD": str(far.fileno())})
        far.close()
        text, files = self.kept
        socket.send_fds(near, [f"restarts 0\nbackground 0\n{text}\n".encode()], files)
        near.settimeout(30)
        text, received, _, _ = socket.recv_fds(near, 1 << 16, 8)
        for file in files:
            os.close(file)
        self.kept = (text.decode(), received)
        near.close()

    def forget_resending(self):
        """Takes FUSE_HAS_RESEND, bit 39, out of the kernel's message: flags2 are 56 bytes from its beginning."""
        lines = self.kept[0].splitlines()
        place = next(number for number, line in enumerate(lines) if line.startswith("offer "))
        offer = lines[place].removeprefix("offer ").split(",")
        assert int(offer[56]) & 0x80, "the kernel can't do it anyway"
        offer[56] = str(int(offer[56]) & 0x7f)
        lines[place] = "offer " + ",".join(offer)
        self.kept = ("\n".join(lines), self.kept[1])

    def let_go(self):
        for file in self.kept[1]:
            os.close(file)
        self.kept = ("", [])

    def end(self):
        self.let_go()
        self.process.kill()
        self.process.wait(timeout=20)


@pytest.mark.on("local")
@pytest.mark.root
def test_kernel_without_resending(mounts, bucket):
    """The mount is made anew at its place; what was open in the old one ends with errors."""
    mount = mounts(bucket, mount=False)
    keeper = Keeper(mount, bucket)
    keeper.start()
    try:
        (mount.path / "a").write_text("x")
        # Read-only: closing another, which starting a process does, would wait for the daemon to be started.
        file = os.open(mount.path / "a", os.O_RDONLY)
        keeper.process.kill()
        keeper.process.wait(timeout=20)
        keeper.forget_resending()
        keeper.start()
        assert (mount.path / "a").read_text() == "x"
        with pytest.raises(OSError):
            os.fsync(file)
        os.close(file)
        keeper.let_go()
        mount.umount()
        assert bucket.get("a") == b"x"
    finally:
        keeper.end()


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
