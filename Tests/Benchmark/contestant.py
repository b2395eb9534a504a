"""What is measured: something with a directory, a cache, and a bucket behind."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pail
from pail import PAIL, detach, environment, is_mounted
from step import Failed, drop_page_cache, step, until

READY_SECONDS = 60


class Contestant:
    """One mount of a bucket, or the bare disk. `base` is a directory of its own on the cache's file system."""

    name: str
    mounts = True
    has_bucket = True
    # Whether it shows the objects of a bucket as files, so that all can share one that was filled beside them.
    plain_objects = True
    speaks_s3 = True
    # What a user knows of the work ahead, and may choose options by.
    reads_at_random = False

    def __init__(self, bucket, base):
        self.bucket = bucket
        self.base = Path(base)
        self.path = self.base / "mount"
        self.cache = self.base / "cache"
        self.path.mkdir(parents=True)

    @property
    def behind(self):
        """Where files have to be that one without a bucket shows."""
        return self.path

    def prepare(self):
        """What is done once for a bucket, before the first mount."""

    def mount(self):
        raise NotImplementedError

    def umount(self):
        raise NotImplementedError

    def drain(self, count, size):
        """Returns when all written is in the bucket: `count` objects of `size` bytes together."""
        def settled():
            sizes = self.bucket.keys().values()
            return len(sizes) == count and sum(sizes) == size
        until(settled, "everything in the bucket", pause=0.2)

    def hurry(self):
        """Brings what was written into the bucket now, where that can be asked for."""

    def clear(self):
        """Empties the cache; not while it is mounted."""
        shutil.rmtree(self.cache, ignore_errors=True)

    def remount_cold(self):
        """Mounted anew, with an empty cache; the kernel's caches are dropped, too, as far as that is allowed."""
        self.umount()
        self.clear()
        drop_page_cache()
        self.mount()

    def processes(self):
        return []

    def cpu_seconds(self):
        """User and system time of the mount's processes since they began."""
        ticks = 0
        for process in self.processes():
            try:
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
            except OSError:
                pass
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        """Resident memory of the mount's processes together; what they share of a program's file counts once."""
        total = largest_file = 0
        for process in self.processes():
            try:
                text = Path(f"/proc/{process}/status").read_text()
            except OSError:
                continue
            kilobytes = {name: int(value) for name, value in re.findall(r"^(Rss\w+):\s+(\d+) kB", text, re.M)}
            total += kilobytes.get("RssAnon", 0) + kilobytes.get("RssShmem", 0)
            largest_file = max(largest_file, kilobytes.get("RssFile", 0))
        return (total + largest_file) * 1024

    def end(self):
        """Whatever happened before: no process, no mount, no files."""
        detach(self.path)


class Disk(Contestant):
    """The same work on the file system that the caches are on."""
    name = "disk"
    mounts = has_bucket = False

    def mount(self):
        self.path.mkdir(exist_ok=True)

    def umount(self):
        pass

    def remount_cold(self):
        drop_page_cache()

    def drain(self, count, size):
        pass


class Pail(Contestant):
    """With its defaults."""
    name = "pail"
    options = ()

    def __init__(self, bucket, base):
        super().__init__(bucket, base)
        self.home = self.base / "home"
        self.home.mkdir()

    def command(self, *arguments, **options):
        return step(PAIL, *arguments, environment=environment(self.home, **self.bucket.environment), **options)

    def mount(self):
        self.command("mount", self.bucket.address, self.path, "--cache-dir", self.cache, *self.bucket.options,
                     *self.options, seconds=READY_SECONDS)

    def umount(self):
        self.command("umount", self.path)

    def hurry(self):
        self.command("flush", self.path)

    def drain(self, count, size):
        self.hurry()
        sizes = self.bucket.keys().values()
        if (len(sizes), sum(sizes)) != (count, size):
            raise Failed("pail flush returned before everything was in the bucket")

    def processes(self):
        return pail.find_daemons(self.cache)

    def end(self):
        pail.kill_all(self.cache)
        detach(self.path)


class PailDaemon(Pail):
    """Without passthrough: each byte goes through the daemon."""
    name = "pail-daemon"
    options = ("--no-passthrough",)


class Peer(Contestant):
    """A daemon in the foreground, in a session of its own."""

    def __init__(self, bucket, base):
        super().__init__(bucket, base)
        self.environment = environment(self.base, **bucket.environment)
        self.daemon = None

    def command(self):
        raise NotImplementedError

    def mount(self):
        self.cache.mkdir(exist_ok=True)
        with open(self.base / "log", "ab") as log:
            self.daemon = subprocess.Popen(
                [str(part) for part in self.command()], env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, cwd=self.base)
        until(lambda: is_mounted(self.path) or self.daemon.poll() is not None, f"{self.name} to mount", READY_SECONDS)
        if self.daemon.poll() is not None:
            raise Failed(f"{self.name} ended: {self.last_words()}")

    def last_words(self):
        lines = (self.base / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1][-200:] if lines else "without a word"

    def umount(self):
        until(self.try_umount, f"{self.name} to unmount", 60, 0.2)
        try:
            self.daemon.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill()

    def try_umount(self):
        """Only root may do it with umount."""
        command = ["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]
        return subprocess.run([*command, self.path], capture_output=True, timeout=60).returncode == 0

    def processes(self):
        """All of the daemon's session: juicefs has a parent that watches."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if self.daemon and int(fields[3]) == self.daemon.pid:
                    found.append(int(entry.name))
        return found

    def kill(self):
        for process in self.processes():
            try:
                os.kill(process, 9)
            except ProcessLookupError:
                pass
        if self.daemon:
            self.daemon.wait(timeout=20)

    def end(self):
        self.kill()
        detach(self.path)
