"""Pail beside its peers, the bare disk and the raw network: alternating rounds, medians, ratios."""
import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from contestant import Disk, Pail, PailPassthrough
from large_files import Cached, Cold, Writing
from pail import is_mounted
from peers import JuiceFS, Rclone, S3fs, WeedMount
from resources import Memory
from result import Results
from scenario import Surroundings, new_bucket, remove_bucket
from small_files import ManyFiles, SourceTree
from step import Failed, drop_page_cache
from table import table

OWN = [Pail, PailPassthrough]
PEERS = [Rclone, S3fs, JuiceFS, WeedMount]
MOUNTS = {kind.name: kind for kind in [Disk, *OWN, *PEERS]}
NAMES = ["disk", "raw"] + [kind.name for kind in [*OWN, *PEERS]]
SCENARIOS = [Cached, Writing, Cold, ManyFiles, SourceTree, Memory]
TROUBLE = (Failed, OSError, AssertionError, ClientError, BotoCoreError)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", default=",".join(NAMES), help="contestants: " + ", ".join(NAMES))
    parser.add_argument("--rows", default="", help="a regular expression")
    parser.add_argument("--charts", default=".build/bench", type=Path)
    parser.add_argument("--wan", type=int, help="milliseconds")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.size = 64 if options.quick else 1024
    options.parallel = 8 if options.quick else 256
    options.files = 500 if options.quick else 10_000
    options.tree = 300 if options.quick else 5_000
    return options


def measure(scenario, name, surroundings):
    """One contestant, once."""
    kind = MOUNTS.get(name, Disk)
    files, base, bucket, contestant = scenario.files(), surroundings.base(), None, None
    try:
        bucket = new_bucket() if files is None else surroundings.bucket_with(files, kind)
        if name == "raw":
            scenario.raw(bucket)
            return
        contestant = kind(bucket, base / name)
        if files is None:
            contestant.prepare()
        drop_page_cache()
        contestant.mount()
        if name == "disk":
            for key, source in (files or {}).items():
                os.link(source, contestant.path / key)
        scenario.run(contestant)
    except TROUBLE as error:
        surroundings.results.fail(scenario, name, f"{error or type(error).__name__}")
    finally:
        if contestant:
            contestant.end()
        if bucket and files is None:
            remove_bucket(bucket)
        if not contestant or not is_mounted(contestant.path):
            shutil.rmtree(base, ignore_errors=True)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = [name for name in NAMES if name in options.only.split(",")]
    place = Path(tempfile.mkdtemp(prefix="pail-bench-"))
    results = Results()
    surroundings = Surroundings(place, options, results)
    scenarios = [kind(surroundings) for kind in SCENARIOS if surroundings.wants(*kind.rows)]
    try:
        for number in range(options.rounds):
            for scenario in scenarios:
                print(f"round {number + 1} of {options.rounds}: {scenario.name}", flush=True)
                # Not always the same one first.
                turn = number % len(names)
                for name in names[turn:] + names[:turn]:
                    if name in MOUNTS and name != "disk" or name in scenario.beside:
                        measure(scenario, name, surroundings)
    finally:
        surroundings.close()
        shutil.rmtree(place, ignore_errors=True)
    print()
    print(table(results, names, [kind.name for kind in OWN if kind.name in names], [kind.name for kind in PEERS]))
    return 0 if results.samples else 1


if __name__ == "__main__":
    sys.exit(main())
