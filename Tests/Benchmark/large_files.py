"""Large files: written, changed, read from the cache, read from the bucket."""
import statistics
import time

import raw
from peers import Rclone
from result import Row
from scenario import GIB, MIB, Scenario
from step import drop_page_cache, step, work


def cpu_per_gib(contestant, before, size):
    return (contestant.cpu_seconds() - before) / (size / GIB)


class Writing(Scenario):
    name = "writing"
    beside = ("disk", "passthrough_ll", "raw")
    closed = Row("sequential write of a new file, closed", "MiB/s", "disk", True)
    durable = Row("write and upload of a new file, until in the bucket", "MiB/s", "raw", True)
    cpu = Row("write and upload, CPU of the mount", "s/GiB")
    small = Row("random 4 KiB writes into a cached file of 8 MiB, closed", "1/s", "disk", True)
    large = Row("random 4 KiB writes into a large cached file, closed", "1/s", "disk", True)
    rows = (closed, durable, cpu, small, large)

    def run(self, contestant):
        size, path = self.all.options.size * MIB, contestant.path
        before, begin = contestant.cpu_seconds(), time.monotonic()
        self.note(self.closed, contestant, size / MIB / work("write", path / "large", size // MIB)[0])
        if self.all.wants(self.durable, self.cpu, self.large, self.small):
            contestant.drain(1, size)
            if contestant.has_bucket:
                self.note(self.durable, contestant, size / MIB / (time.monotonic() - begin))
                self.note(self.cpu, contestant, cpu_per_gib(contestant, before, size))
        if self.all.wants(self.small):
            work("write", path / "small", 8)
            contestant.drain(2, size + 8 * MIB)
            self.changes(self.small, contestant, path / "small", 4_000)
        if self.all.wants(self.large):
            self.changes(self.large, contestant, path / "large", 10_000)

    def changes(self, row, contestant, file, count):
        step("cat", file)
        self.note(row, contestant, count / work("change", file, count)[0])

    def raw(self, bucket):
        """The faster of two ways to bring the same bytes up."""
        source = self.all.noise("large", self.all.options.size * MIB)
        size = source.stat().st_size / MIB
        parts = size / raw.upload(bucket, "parts", source)
        copied = size / Rclone.copy(bucket, source)
        print(f"  raw: parallel parts {parts:.0f} MiB/s, rclone copy {copied:.0f} MiB/s", flush=True)
        self.note(self.durable, "raw", max(parts, copied))


class Cached(Scenario):
    """Past the kernel's cache: the mount's file has left it, while the cache's file is still in it."""
    name = "reading what is cached"
    beside = ("disk", "passthrough_ll")
    sequential = Row("sequential read of a cached file", "MiB/s", "disk", True)
    at_random = Row("random 4 KiB reads of a cached file", "1/s", "disk", True)
    mapped = Row("mmap read of a cached file", "MiB/s", "disk", True)
    sequential_past = Row("sequential read of a cached file, past the kernel's cache", "MiB/s", "passthrough_ll", True)
    random_past = Row("random 4 KiB reads of a cached file, past the kernel's cache", "1/s", "passthrough_ll", True)
    sequential_disk = Row("sequential read of a cached file, page cache dropped", "MiB/s", "disk", True)
    random_disk = Row("random 4 KiB reads of a cached file, page cache dropped", "1/s", "disk", True)
    rows = (sequential, at_random, mapped, sequential_past, random_past, sequential_disk, random_disk)

    def files(self):
        return {"large": self.all.noise("large", self.all.options.size * MIB)}

    def run(self, contestant):
        file, mib, count = contestant.path / "large", self.all.options.size, 200_000
        # Once to fetch it, once more so that what is kept of it is kept.
        for _ in range(2):
            step("cat", file)
        if self.all.wants(self.sequential):
            self.note(self.sequential, contestant, mib / statistics.median(work("read", file, 5)))
        if self.all.wants(self.at_random):
            self.note(self.at_random, contestant, count / statistics.median(
                work("random", file, count)[0] for _ in range(3)))
        if self.all.wants(self.mapped):
            self.note(self.mapped, contestant, mib / statistics.median(work("map", file, 5)))
        if contestant.mounts:
            self.past_the_kernel(contestant, file)
        if self.all.wants(self.sequential_disk):
            drop_page_cache()
            self.note(self.sequential_disk, contestant, mib / work("read", file, 1)[0])
        if self.all.wants(self.random_disk):
            drop_page_cache()
            self.note(self.random_disk, contestant, 4_000 / work("random", file, 4_000)[0])

    def past_the_kernel(self, contestant, file):
        def seconds(*arguments):
            work("drop", file)
            return work(*arguments)[0]
        if self.all.wants(self.sequential_past):
            self.note(self.sequential_past, contestant, self.all.options.size / statistics.median(
                seconds("read", file, 1) for _ in range(3)))
        if self.all.wants(self.random_past):
            self.note(self.random_past, contestant, 20_000 / statistics.median(
                seconds("random", file, 20_000) for _ in range(3)))


class Cold(Scenario):
    """Nothing in the mount's cache, nothing in the kernel's."""
    name = "reading what is not cached"
    beside = ("raw",)
    sequential = Row("cold sequential read", "MiB/s", "raw", True)
    cpu = Row("cold sequential read, CPU of the mount", "s/GiB")
    at_random = Row("cold random 4 KiB reads, 16 readers", "1/s", "", True)
    rows = (sequential, cpu, at_random)
    readers = 16

    def files(self):
        return {"large": self.all.noise("large", self.all.options.size * MIB)}

    def run(self, contestant):
        file, size = contestant.path / "large", self.all.options.size * MIB
        # The mount has answered once, as it has for whoever uses it.
        step("ls", contestant.path)
        if self.all.wants(self.sequential, self.cpu):
            drop_page_cache()
            before = contestant.cpu_seconds()
            self.note(self.sequential, contestant, size / MIB / work("read", file, 1)[0])
            self.note(self.cpu, contestant, cpu_per_gib(contestant, before, size))
            step("cmp", file, self.all.noise("large", size))
        if self.all.wants(self.at_random):
            contestant.reads_at_random = True
            contestant.remount_cold()
            step("ls", contestant.path)
            # So few that most find nothing that another has fetched.
            each = max(5, self.all.options.size // 20)
            self.note(self.at_random, contestant, self.readers * each / work("random", file, each, self.readers)[0])

    def raw(self, bucket):
        size = self.all.options.size * MIB
        seconds = []
        # On loopback the processors are the limit: fewer may be faster.
        for connections in (16,) if self.all.options.wan else (4, 16):
            drop_page_cache()
            seconds.append(raw.download(bucket, "large", size, connections))
        self.note(self.sequential, "raw", size / MIB / min(seconds))
