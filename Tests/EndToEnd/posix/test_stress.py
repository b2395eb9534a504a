"""The file system stressors of stress-ng, each for PAIL_STRESS_SECONDS, checking what they read back; without the
variable they are left out. scripts/stress runs them."""
import os
import re
import shutil
import subprocess

import pytest

SECONDS = int(os.environ.get("PAIL_STRESS_SECONDS", "0"))
# These have other things to do than with the file system that they are run on.
ELSEWHERE = {"bind-mount", "binderfs", "dev-shm", "fiemap", "procfs", "sysfs", "sysbadaddr", "ramfs", "eventfd", "null", "zero", "full"}


def stressors():
    if not SECONDS or not shutil.which("stress-ng"):
        return []
    said = subprocess.run(["stress-ng", "--class", "filesystem?"], capture_output=True, text=True).stdout
    return [name for name in re.sub(r"^.*:", "", said.strip()).split() if name not in ELSEWHERE]


@pytest.mark.root
@pytest.mark.timeout(SECONDS * 4 + 360)
@pytest.mark.parametrize("name", stressors())
def test_stress(directory, name):
    result = subprocess.run(
        ["stress-ng", "--verify", "--temp-path", directory, f"--{name}", "2", "--timeout", f"{SECONDS}s"],
        capture_output=True, text=True, timeout=SECONDS * 4 + 240)
    said = result.stdout + result.stderr
    # 4: nothing to be done on this machine.
    assert result.returncode in (0, 4) and "fail:" not in said, said[-3000:]
