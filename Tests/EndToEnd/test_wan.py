"""The slow network that scripts/bench measures over is as slow as it says, and carries what it is given."""
import os
import subprocess
import sys

import pytest

from pail import ROOT, run, wait_until

sys.path.append(str(ROOT / "Tests/Benchmark"))
from wan import SERVER, Network  # noqa: E402

pytestmark = [
    pytest.mark.root, pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="there is no /dev/net/tun")]
ROUND_TRIP_MS = 40


@pytest.mark.timeout(90)
def test_a_slow_network(place):
    body = os.urandom(4 << 20)
    (place / "body").write_bytes(body)
    with Network(ROUND_TRIP_MS, loss_percent=0.5, mbit=80) as network:
        namespaces = {"pass_fds": network.namespaces}
        server = subprocess.Popen(
            network.at_server(sys.executable, "-m", "http.server", "--bind", SERVER, "8000", "--directory", str(place)),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **namespaces)
        try:
            get = network.at_client(
                "curl", "-sf", "--max-time", "60", "-o", place / "got", "-w", "%{time_connect} %{time_total}",
                f"http://{SERVER}:8000/body")

            def fetch():
                result = run(*get, check=False, timeout=70, **namespaces)
                return result if result.returncode == 0 else None

            result = wait_until(fetch, 60, "curl")
        finally:
            server.kill()
            server.wait()
    connected, total = map(float, result.stdout.split())
    assert (place / "got").read_bytes() == body
    assert connected >= ROUND_TRIP_MS / 1000
    # Eighty million bits a second.
    assert total >= len(body) * 8 / 80e6
