"""Pail beside its peers, the bare disk and the raw network: alternating rounds, medians, ratios."""
import argparse
import os
import platform
import shutil
import signal
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from contestant import Disk, Pail, PailDaemon
from large_files import Cached, Cold, Writing
from overwriting import Overwriting
from pail import is_mounted
from peers import JuiceFS, PassthroughLL, Rclone, S3fs, WeedMount
from resources import ManyNodes, Memory
from result import Results
from scenario import Surroundings
from server import new_bucket, remove_bucket
from small_files import ManyFiles, SourceTree
from step import Failed, drop_page_cache
from table import table

OWN = [Pail, PailDaemon]
PEERS = [Rclone, S3fs, JuiceFS, WeedMount]
MOUNTS = {kind.name: kind for kind in [*OWN, *PEERS]}
BESIDE = {"disk": Disk, "passthrough_ll": PassthroughLL, "raw": Disk}
KINDS = BESIDE | MOUNTS
NAMES = list(KINDS)
SCENARIOS = [Cached, Writing, Overwriting, Cold, ManyFiles, SourceTree, Memory, ManyNodes]
TROUBLE = (Failed, OSError, AssertionError, ClientError, BotoCoreError)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--rounds", type=int, help="3; 1 if quick")
    parser.add_argument("--only", default=",".join(NAMES), help="contestants: " + ",".join(NAMES))
    parser.add_argument("--rows", default="", metavar="PATTERN", help="rows that this regular expression finds")
    parser.add_argument("--wan", type=int, metavar="MS", help="a slow network with this round trip: 20 or 80")
    parser.add_argument("--parallel", type=int, metavar="MIB", help="size of each of the 16 files read at once")
    parser.add_argument("--nodes", type=int, metavar="N", help="what `a million` is")
    parser.add_argument("--charts", default=".build/bench", type=Path, metavar="DIR")
    options = parser.parse_args()
    unknown = set(options.only.split(",")) - set(NAMES)
    if unknown:
        parser.error(f"--only: {', '.join(unknown)}: not one of {', '.join(NAMES)}")
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.size = 64 if options.quick else 1024
    options.parallel = options.parallel or (8 if options.quick else 256)
    options.files = 500 if options.quick else 10_000
    options.tree = 300 if options.quick else 5_000
    options.nodes = options.nodes or (10_000 if options.quick else 1_000_000)
    return options


def chosen(surroundings):
    """Without a pattern all but what takes too long; over a slow network what shows the network."""
    options = surroundings.options
    scenarios = [kind(surroundings) for kind in SCENARIOS if surroundings.wants(*kind.rows)]
    if options.rows:
        return scenarios
    return [one for one in scenarios if not one.on_demand and (not options.wan or isinstance(one, Cold))]


def measure(scenario, name, surroundings):
    """One contestant, once."""
    kind, base, contestant, own_bucket = KINDS[name], surroundings.base(), None, None
    try:
        bucket = scenario.bucket(kind)
        if bucket is None:
            bucket = own_bucket = new_bucket()
        if name == "raw":
            scenario.raw(bucket)
            return
        contestant = kind(bucket, base / name)
        if own_bucket:
            contestant.prepare()
        drop_page_cache()
        contestant.mount()
        if not contestant.has_bucket:
            for key, source in (scenario.files() or {}).items():
                os.link(source, contestant.behind / key)
        scenario.run(contestant)
    except TROUBLE as error:
        reason = f"{error or type(error).__name__}".replace(f"{base}/", "").replace(f"{surroundings.place}/", "")
        surroundings.results.fail(scenario, name, " ".join(reason.split()))
    finally:
        if contestant:
            contestant.end()
        if own_bucket:
            remove_bucket(own_bucket)
        if not contestant or not is_mounted(contestant.path):
            shutil.rmtree(base, ignore_errors=True)


def run(surroundings, scenarios, names):
    rounds = surroundings.options.rounds
    for number in range(rounds):
        for scenario in scenarios:
            print(f"round {number + 1} of {rounds}: {scenario.name}", flush=True)
            # Not always the same one first.
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                if name in MOUNTS or name in scenario.beside:
                    measure(scenario, name, surroundings)


def about(options):
    network = f"{options.wan} ms round trip, 0.1 % loss, 1 Gbit/s" if options.wan else "loopback"
    return {
        "when": datetime.now(timezone.utc).isoformat(timespec="minutes"), "rounds": options.rounds, "network": network,
        "processors": os.cpu_count(), "kernel": platform.release(), "largeMiB": options.size,
        "parallelMiB": options.parallel, "files": options.files, "treeFiles": options.tree, "nodes": options.nodes,
    }


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = [name for name in NAMES if name in options.only.split(",")]
    place = Path(tempfile.mkdtemp(prefix="pail-bench-"))
    results = Results(names, [row for kind in SCENARIOS for row in kind.rows])
    surroundings = Surroundings(place, options, results)
    try:
        run(surroundings, chosen(surroundings), names)
    finally:
        surroundings.close()
        shutil.rmtree(place, ignore_errors=True)
        print("\n" + ", ".join(f"{name} {value}" for name, value in about(options).items()) + "\n")
        print(table(results, [kind.name for kind in OWN if kind.name in names], [kind.name for kind in PEERS]))
        results.write(options.charts, about(options))
        print(f"\nCharts and samples: {options.charts}")
    return 0 if results.rows else 1


if __name__ == "__main__":
    sys.exit(main())
