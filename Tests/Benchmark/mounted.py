"""Pail and its peers, each as something that can be mounted, drained and unmounted."""
import os
import shutil
import subprocess
import time

from pail import Mount, detach, environment, is_mounted, wait_until

READY_SECONDS = 30


class Peer:
    """A foreground daemon in front of a bucket, with a cache directory of its own."""

    def __init__(self, bucket, base):
        self.bucket = bucket
        self.path = base / "mount"
        self.cache = base / "cache"
        self.path.mkdir(parents=True, exist_ok=True)
        self.environment = environment(base, **bucket.environment)
        self.daemon = None

    def mount(self):
        self.cache.mkdir(exist_ok=True)
        with open(self.cache.parent / "log", "ab") as log:
            self.daemon = subprocess.Popen(
                self.command(), env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: is_mounted(self.path), READY_SECONDS, f"{self.name} to mount")

    def umount(self):
        for _ in range(50):
            if subprocess.run(["umount", self.path], capture_output=True, timeout=60).returncode == 0:
                break
            time.sleep(0.2)
        self.daemon.wait(timeout=60)

    def drain(self, count, size):
        """Returns when the bucket holds this many objects of this size together."""
        def settled():
            sizes = self.bucket.keys().values()
            return len(sizes) == count and sum(sizes) == size
        while not settled():
            time.sleep(0.2)

    def clear(self):
        shutil.rmtree(self.cache, ignore_errors=True)

    def end(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait(timeout=20)
        detach(self.path)


class Rclone(Peer):
    name = "rclone"

    def command(self):
        self.environment |= {
            "RCLONE_CONFIG_B_TYPE": "s3", "RCLONE_CONFIG_B_PROVIDER": "Other", "RCLONE_CONFIG_B_ENV_AUTH": "true",
            "RCLONE_CONFIG_B_ENDPOINT": self.bucket.endpoint, "RCLONE_CONFIG_B_REGION": "us-east-1",
            "RCLONE_CONFIG": str(self.cache.parent / "rclone.conf"),
        }
        # Uploads begin as soon after the close as Pail's do.
        return ["rclone", "mount", f"b:{self.bucket.name}", str(self.path), "--vfs-cache-mode", "full",
                "--cache-dir", str(self.cache), "--vfs-write-back", "1s", "--transfers", "16", "--log-level", "ERROR"]


class S3fs(Peer):
    name = "s3fs"

    def command(self):
        return ["s3fs", self.bucket.name, str(self.path), "-f", "-o", f"url={self.bucket.endpoint}", "-o",
                "use_path_request_style", "-o", f"use_cache={self.cache}", "-o", "multireq_max=20"]


class Pail(Mount):
    """With its defaults."""
    name = "pail"

    def __init__(self, bucket, base):
        super().__init__(bucket, base)
        self.options = []

    def drain(self, count, size):
        self.flush(timeout=1800)
        sizes = self.bucket.keys().values()
        assert (len(sizes), sum(sizes)) == (count, size), "pail flush returned before everything was in the bucket"

    def umount(self):
        super().umount(timeout=1800)

    def clear(self):
        shutil.rmtree(self.cache, ignore_errors=True)


SYSTEMS = {system.name: system for system in (Pail, Rclone, S3fs)}


def drop_page_cache():
    if os.geteuid() == 0:
        subprocess.run(["sync"], timeout=120)
        try:
            with open("/proc/sys/vm/drop_caches", "w") as file:
                file.write("3")
        except OSError:
            pass
