"""What the hot paths allocate, in the release build: docs/BENCHMARKS.md. Times are printed, not judged."""
from pail import PAIL, run


def test_hot_paths_allocate_no_more_than_they_may(place):
    result = run(PAIL.with_name("microbench"), place, check=False, timeout=120)
    print(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "read 4 KiB of a file that is whole in the cache" in result.stdout
