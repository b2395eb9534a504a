"""Runs pail: its commands, and mounts that are certain to end."""
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAIL = Path(os.environ.get("PAIL", ROOT / ".build/release/pail"))
IS_ROOT = os.geteuid() == 0
# In the environment of everything that a run of the tests starts, so that what is left can be found.
RUN = os.environ.setdefault("PAIL_TEST_RUN", f"{os.getpid()}-{time.time_ns()}")


def wait_until(condition, seconds=30, what="the condition"):
    """Returns what the condition gives as soon as it is true."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def run(*command, check=True, timeout=60, **options):
    """Runs a command to its end, never waiting for input, and gives what it wrote as text."""
    command = [str(part) for part in command]
    options.setdefault("stdin", subprocess.DEVNULL)
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, text=True, errors="replace",
        **options)
    if check and result.returncode:
        raise AssertionError(
            f"{' '.join(command)}: exit code {result.returncode}\n{result.stdout[-3000:]}{result.stderr[-3000:]}")
    return result


def environment(home, **more):
    """A clean environment: nobody's credentials, a home directory of the test's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "XDG_", "http", "HTTP"))}
    return kept | {
        "HOME": str(home), "XDG_CACHE_HOME": f"{home}/.cache", "XDG_RUNTIME_DIR": str(home), "PAIL_TEST_RUN": RUN,
        "AWS_EC2_METADATA_DISABLED": "true", "LC_ALL": "C.UTF-8",
    } | {name: str(value) for name, value in more.items()}


def is_mounted(directory):
    name = re.sub(r"[ \t\n\\]", lambda found: f"\\{ord(found[0]):03o}", str(directory))
    with open("/proc/self/mountinfo") as table:
        return any(line.split()[4] == name for line in table)


def detach(directory):
    """Takes a mount away whatever state it is in."""
    for command in (["umount", "-l"], ["fusermount3", "-u", "-z"]):
        if not is_mounted(directory):
            return
        subprocess.run([*command, str(directory)], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)


def is_alive(process):
    """Whether a process runs; one that has ended and that nobody waited for doesn't."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(process):
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
    # A thread in fsync(2) ends when the disk is done.
    wait_until(lambda: not is_alive(process), 60, f"the end of process {process}")


class Mount:
    """A bucket mounted on a directory, with a cache directory of its own."""

    def __init__(self, bucket, base, *options, prefix=(), **environ):
        self.bucket = bucket
        self.base = Path(base)
        self.path = self.base / "mount"
        self.cache = self.base / "cache"
        self.home = self.base / "home"
        for directory in (self.path, self.home):
            directory.mkdir(parents=True, exist_ok=True)
        # PAIL_TEST_OPTIONS: for all mounts, `--no-passthrough` say.
        given = os.environ.get("PAIL_TEST_OPTIONS", "").split()
        self.options = ["--upload-delay", "100ms", "--refresh", "1s", *given, *options]
        # What a command is run under: another user, say.
        self.prefix = list(prefix)
        self.environment = environment(self.home, **bucket.environment, **environ)
        # The daemon, and the keeper that starts it again when it dies.
        self.process = None
        self.keeper = None

    def command(self, *arguments, **options):
        options.setdefault("env", self.environment)
        return run(*self.prefix, PAIL, *arguments, **options)

    def mount(self, *more, **options):
        result = self.command(
            "mount", self.bucket.address, self.path, "--cache-dir", self.cache, *self.bucket.options, *self.options,
            *more, timeout=60, **options)
        if result.returncode == 0:
            report = self.status()
            self.process, self.keeper = report["pid"], report["keeper"]
        return result

    def status(self):
        reports = json.loads(self.command("status", self.path, "--json", timeout=20).stdout)
        return reports[0]

    def flush(self, path=None, timeout=70, **options):
        return self.command("flush", path or self.path, "--timeout", str(timeout - 10), timeout=timeout, **options)

    def umount(self, *options, timeout=80, **more):
        # So that one that would wait for ever says what is left.
        options = options or ("--timeout", str(timeout - 20))
        result = self.command("umount", self.path, *options, timeout=timeout, **more)
        if result.returncode == 0:
            self.process = None
            assert not is_mounted(self.path)
        return result

    def kill(self):
        """Daemon and keeper die as at a power cut of their own; the mount stays as a dead one."""
        kill(self.keeper)
        kill(self.daemon())

    def daemon(self):
        """The daemon that runs now. Doesn't ask it."""
        self.process = wait_until(
            lambda: next((entry for entry in find_daemons(self.cache) if entry != self.keeper), None), 20, "a daemon")
        return self.process

    def kill_daemon(self):
        """The daemon alone dies: the keeper starts another, which takes the mount over."""
        kill(self.daemon())

    def remount(self, *options, empty_cache=False):
        self.umount()
        if empty_cache:
            shutil.rmtree(self.cache)
        self.mount(*options)

    def resident_bytes(self, peak=False):
        text = Path(f"/proc/{self.process}/status").read_text()
        name = "VmHWM" if peak else "VmRSS"
        return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M)[1]) * 1024

    def describe(self):
        """For people who look into a failed test: what the daemon says of itself, and the end of its log."""
        lines = []
        if self.process and is_alive(self.process):
            try:
                lines += self.command("status", self.path, check=False, timeout=10).stdout.splitlines()
            except subprocess.TimeoutExpired:
                lines.append("pail status doesn't answer")
        return "\n".join(lines + self.log().splitlines()[-25:])

    def log(self):
        try:
            return (self.cache / "log").read_text(errors="replace")
        except OSError:
            return ""

    def end(self):
        """Whatever happened before: no process, no mount. Nothing here touches the mount itself."""
        kill_all(self.cache)
        detach(self.path)


def kill_all(cache):
    """Keepers first: they would start daemons again."""
    for entry in sorted(find_daemons(cache), key=lambda process: not is_keeper(process)):
        kill(entry)
    for entry in find_daemons(cache):
        kill(entry)


def is_keeper(process):
    try:
        return b"\0keep\0" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def find_daemons(cache):
    """The processes that were started with this cache directory: daemons and their keepers."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if arguments[0].endswith(b"pail") and str(cache).encode() in arguments:
            found.append(int(entry.name))
    return found
