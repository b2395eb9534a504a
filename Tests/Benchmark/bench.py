"""Pail beside its peers: alternating rounds, medians, ratios."""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import buckets
from mounted import SYSTEMS, drop_page_cache
from proxy import Proxy

MIB = 1 << 20
# A peer that needs longer than this for one command is shown with it and a `>`.
MOST_SECONDS = 900


def timed(*command):
    begin = time.monotonic()
    subprocess.run(
        list(map(str, command)), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=MOST_SECONDS)
    return time.monotonic() - begin


class Measurement:
    """One system in one round: fills `results`, row to number."""

    def __init__(self, system, place, options, results):
        self.system, self.place, self.options, self.results = system, place, options, results

    def note(self, row, value):
        self.results.setdefault(row, {}).setdefault(self.system.name, []).append(value)
        print(f"  {self.system.name:7} {row}: {value:,.3f}", flush=True)

    def wanted(self, *rows):
        return any(re.search(self.options.rows, row) for row in rows)

    def with_mount(self, body, through=None):
        """Runs the body with a new bucket, an empty cache and a mount."""
        bucket = buckets.make("seaweedfs", self.place)
        base = Path(tempfile.mkdtemp(dir=self.place))
        mount = self.system(bucket.through(through.endpoint) if through else bucket, base)
        try:
            mount.mount()
            body(mount, bucket)
        except (subprocess.TimeoutExpired, AssertionError, OSError, subprocess.CalledProcessError) as error:
            print(f"  {self.system.name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
        finally:
            mount.end()
            bucket.remove()
            shutil.rmtree(base, ignore_errors=True)

    def remount_cold(self, mount):
        mount.umount()
        mount.clear()
        drop_page_cache()
        mount.mount()

    def many_files(self, mount, bucket):
        count = self.options.files
        begin = time.monotonic()
        self.note(f"create {count:,} files of 4 KiB, closed, s", timed("cp", "-r", self.place / "many", mount.path))
        mount.drain(count, count * 4096)
        self.note(f"create {count:,} files of 4 KiB, in the bucket, s", time.monotonic() - begin)
        self.remount_cold(mount)
        self.note(f"ls -l of {count:,}, cold, s", timed("ls", "-l", mount.path / "many"))
        self.note(f"ls -l of {count:,}, warm, s", timed("ls", "-l", mount.path / "many"))
        self.note(f"rename a directory of {count:,}, s", timed("mv", mount.path / "many", mount.path / "moved"))

    def large_file(self, size):
        def body(mount, bucket):
            begin = time.monotonic()
            target = mount.path / "large"
            self.note(f"write {size // MIB:,} MiB, closed, s", timed("cp", self.place / f"large{size}", target))
            mount.drain(1, size)
            self.note(f"write {size // MIB:,} MiB, in the bucket, s", time.monotonic() - begin)
            self.remount_cold(mount)
            self.note(f"read {size // MIB:,} MiB, cold, s", timed("dd", f"if={target}", "of=/dev/null", "bs=1M", "status=none"))
        return body

    def overwrite(self, size, proxy):
        def body(mount, bucket):
            with open(self.place / f"large{size}", "rb") as source:
                bucket.client.upload_fileobj(source, bucket.name, "large")
            before, begin = proxy.sent, time.monotonic()
            etag = bucket.client.head_object(Bucket=bucket.name, Key="large")["ETag"]
            timed("dd", f"if={self.place}/many/f0", f"of={mount.path}/large", "bs=4096", "count=1", "seek=12345",
                  "conv=notrunc", "status=none")
            if self.system.name == "pail":
                mount.flush(timeout=MOST_SECONDS)
            while bucket.client.head_object(Bucket=bucket.name, Key="large")["ETag"] == etag:
                assert time.monotonic() - begin < MOST_SECONDS, "the change never arrived"
                time.sleep(0.2)
            self.note(f"overwrite 4 KiB in {size // MIB:,} MiB, in the bucket, s", time.monotonic() - begin)
            self.note(f"overwrite 4 KiB in {size // MIB:,} MiB, sent, MiB", (proxy.sent - before) / MIB)
        return body

    def run(self):
        if self.wanted("create files", "ls -l", "rename a directory"):
            self.with_mount(self.many_files)
        for size in self.options.sizes:
            if self.wanted("write", "read"):
                self.with_mount(self.large_file(size))
        if self.wanted("overwrite"):
            proxy = Proxy(buckets.endpoint("seaweedfs"))
            self.with_mount(self.overwrite(self.options.sizes[-1], proxy), through=proxy)
            proxy.close()


def prepare(place, options):
    (place / "many").mkdir()
    for number in range(options.files):
        (place / "many" / f"f{number}").write_bytes(os.urandom(4096))
    for size in options.sizes:
        with open(place / f"large{size}", "wb") as file:
            for _ in range(size // MIB):
                file.write(os.urandom(MIB))


def table(results, names):
    """Markdown: medians, and how many times as much as Pail each peer needs."""
    peers = [name for name in names if name != "pail"]
    lines = ["| | " + " | ".join(names + [f"{peer} / pail" for peer in peers]) + " |"]
    lines.append("|---" * (1 + len(names) + len(peers)) + "|")
    for row, values in results.items():
        medians = {name: statistics.median(values[name]) for name in names if name in values}
        cells = [f"{medians[name]:.3g}" if name in medians else "failed" for name in names]
        for peer in peers:
            both = peer in medians and medians.get("pail")
            cells.append(f"{medians[peer] / medians['pail']:.1f}" if both else "")
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--files", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", default=",".join(SYSTEMS))
    parser.add_argument("--rows", default="", help="a regular expression")
    options = parser.parse_args()
    options.files = options.files or (1_000 if options.quick else 10_000)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.sizes = [100 * MIB] if options.quick else [100 * MIB, 1024 * MIB]
    names = [name for name in SYSTEMS if name in options.only.split(",")]
    place = Path(tempfile.mkdtemp(prefix="pail-bench-"))
    results = {}
    try:
        prepare(place, options)
        for number in range(options.rounds):
            # Not always the same one first.
            order = names[number % len(names):] + names[:number % len(names)]
            print(f"round {number + 1} of {options.rounds}", flush=True)
            for name in order:
                Measurement(SYSTEMS[name], place, options, results).run()
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(f"\nMedians of {options.rounds} rounds, {os.cpu_count()} processors, SeaweedFS on the same machine.\n")
    print(table(results, names))
    return 0 if results else 1


if __name__ == "__main__":
    sys.exit(main())
