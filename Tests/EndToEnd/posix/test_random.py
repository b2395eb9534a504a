"""Random calls, compared with what the machine's own file system makes of them. PAIL_RANDOM_SECONDS is how long (10),
PAIL_RANDOM_SEED where it begins."""
import os
import random
import time

import pytest

from twins import Twins

SECONDS = float(os.environ.get("PAIL_RANDOM_SECONDS", "10"))
SEED = int(os.environ.get("PAIL_RANDOM_SEED", random.SystemRandom().randrange(1 << 32)))


@pytest.mark.root
@pytest.mark.on("local", "ministack")
@pytest.mark.timeout(SECONDS * 2 + 120)
@pytest.mark.parametrize("passthrough", ["true", "false"])
def test_like_the_machines_own(mounts, bucket, tmp_path, passthrough):
    """Also after all of it came back out of the bucket."""
    mount = mounts(bucket, "--upload-delay", "200ms", f"--passthrough={passthrough}")
    deadline, seed = time.monotonic() + SECONDS, SEED
    while time.monotonic() < deadline:
        right, tested = tmp_path / f"{seed}", mount.path / f"{seed}"
        right.mkdir(mode=0o755)
        tested.mkdir(mode=0o755)
        twins = Twins(right, tested, seed)
        for _ in range(10):
            twins.run(50)
            twins.compare()
            if time.monotonic() > deadline:
                break
        twins.finish()
        twins.compare()
        mount.remount(empty_cache=True)
        twins.compare()
        seed += 1
