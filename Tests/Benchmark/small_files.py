"""Many small files: made, listed, renamed; a source tree with a Git repository."""
import os
import random
import shutil
import time

from result import Row
from scenario import Scenario
from step import Failed, step, timed, work

# Git looks at nothing but the tree itself, and does in the foreground what it does.
GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*", "GIT_CONFIG_KEY_1": "gc.auto",
    "GIT_CONFIG_VALUE_1": "0",
}


class ManyFiles(Scenario):
    name = "many files"
    beside = ("disk", "passthrough_ll")
    closed = Row("create files of 4 KiB, closed", "1/s", "disk", True)
    durable = Row("create files of 4 KiB, until in the bucket", "1/s", "", True)
    cold = Row("ls -l of their directory, cold", "s")
    warm = Row("ls -l of their directory, warm", "s", "disk")
    read = Row("cat of all of them, cold", "1/s", "", True)
    renamed = Row("rename of their directory", "s", "disk")
    rows = (closed, durable, cold, warm, read, renamed)

    def run(self, contestant):
        count, many = self.all.options.files, contestant.path / "many"
        begin = time.monotonic()
        self.note(self.closed, contestant, count / work("create", many, count)[0])
        if contestant.has_bucket:
            contestant.drain(count, count * 4096)
            self.note(self.durable, contestant, count / (time.monotonic() - begin))
        if self.all.wants(self.cold):
            contestant.remount_cold()
        cold = timed("ls", "-l", many)
        if contestant.has_bucket:
            self.note(self.cold, contestant, cold)
        self.note(self.warm, contestant, min(timed("ls", "-l", many) for _ in range(3)))
        if contestant.has_bucket and self.all.wants(self.read):
            contestant.remount_cold()
            begin = time.monotonic()
            size = int(step("sh", "-c", 'cat "$0"/* | wc -c', many, shows=True))
            if size != count * 4096:
                raise Failed(f"{size} bytes came of {count} files")
            self.note(self.read, contestant, count / (time.monotonic() - begin))
        if self.all.wants(self.renamed):
            self.note(self.renamed, contestant, timed("mv", many, contestant.path / "moved"))


class SourceTree(Scenario):
    name = "source tree"
    beside = ("disk", "passthrough_ll")
    unpacked = Row("untar of a source tree", "s", "disk")
    status = Row("git status in it, warm", "s", "disk")
    removed = Row("rm -rf of it", "s", "disk")
    rows = (unpacked, status, removed)

    def archive(self):
        """Files of 0.5 to 20 KiB, twelve to a directory, committed."""
        path = self.all.place / "source.tar"
        if not path.exists():
            tree, generator = self.all.base() / "source", random.Random(1)
            for number in range(self.all.options.tree):
                folder = tree / f"module{number // 120}" / f"part{number // 12 % 10}"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"file{number}.c").write_bytes(generator.randbytes(generator.randrange(512, 20_480)))
            git = ["git", "-C", tree, "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
            for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "All"], ["gc", "-q"]):
                step(*git, *command, environment=os.environ | GIT)
            step("tar", "-cf", path, "-C", tree.parent, "source")
            shutil.rmtree(tree.parent)
        return path

    def run(self, contestant):
        archive, tree = self.archive(), contestant.path / "source"
        step("cat", archive)
        self.note(self.unpacked, contestant, timed("tar", "-xf", archive, "-C", contestant.path))
        if self.all.wants(self.status):
            status = ["git", "-C", tree, "status", "--porcelain"]
            # The first one looks into every file, whose inode numbers are new to it.
            if step(*status, environment=os.environ | GIT, shows=True):
                raise Failed("git finds changes in what tar has unpacked")
            self.note(self.status, contestant, min(timed(*status, environment=os.environ | GIT) for _ in range(3)))
        if self.all.wants(self.removed):
            self.note(self.removed, contestant, timed("rm", "-rf", tree))
