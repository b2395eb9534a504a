"""One bounded piece of work in a process of its own: a mount that hangs can't hang the benchmark."""
import os
import signal
import subprocess
import time
from pathlib import Path

SECONDS = 300
WORK = Path(__file__).resolve().parents[2] / ".build/bench-work"


class Failed(Exception):
    """What a contestant couldn't do; the text goes below the table."""


def step(*command, seconds=SECONDS, environment=None, shows=False):
    """Runs a command to its end and gives its output if it `shows` some. Raises Failed after `seconds`, or if it exits
    with anything but 0."""
    command = [str(part) for part in command]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if shows else subprocess.DEVNULL,
        stderr=subprocess.PIPE, start_new_session=True, env=environment, text=True, errors="replace")
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill_group(process)
        raise Failed(f"`{' '.join(command)}` took longer than {seconds} s") from None
    if process.returncode:
        raise Failed(f"`{' '.join(command)}`: exit code {process.returncode}: {errors.strip()[:300]}")
    return output


def kill_group(process):
    """Not waited for: it may be stuck in a mount, and goes when that does."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def timed(*command, **options):
    """Seconds that a command takes, its start included."""
    begin = time.monotonic()
    step(*command, **options)
    return time.monotonic() - begin


def work(*arguments, **options):
    """Seconds of each pass of a piece of work.c."""
    return [float(line) for line in step(WORK, *arguments, shows=True, **options).split()]


def until(condition, what, seconds=SECONDS, pause=0.05):
    """Waits for a condition that itself is bounded."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(pause)


def drop_page_cache():
    """The kernel's caches: pages, names, attributes. Without the right to, cold is cold for the mount alone."""
    subprocess.run(["sync"], timeout=120)
    try:
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")
    except OSError:
        pass
