"""The samples: row to contestant to numbers, and why a contestant has none."""
import json
import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table. `base`: the contestant that the others are compared with, where it isn't the best peer."""
    name: str
    unit: str
    base: str = ""
    more_is_better: bool = False


class Results:
    def __init__(self):
        self.samples = {}
        self.failures = {}

    def note(self, row, contestant, value):
        self.samples.setdefault(row, {}).setdefault(contestant, []).append(value)
        print(f"  {contestant:16} {row.name}: {value:,.4g} {row.unit}", flush=True)

    def fail(self, scenario, contestant, reason):
        reasons = self.failures.setdefault((scenario.name, contestant), [])
        if reason not in reasons:
            reasons.append(reason)
        print(f"  {contestant:16} {scenario.name}: failed: {reason}", flush=True)

    def median(self, row, contestant):
        values = self.samples.get(row, {}).get(contestant)
        return statistics.median(values) if values else None

    def times_as_good(self, row, one, other):
        """How many times as fast, or as small, `one` is as `other`; None if either has no figure."""
        mine, theirs = self.median(row, one), self.median(row, other)
        if not mine or not theirs:
            return None
        return mine / theirs if row.more_is_better else theirs / mine

    def write(self, path, about):
        rows = [
            {"row": row.name, "unit": row.unit, "moreIsBetter": row.more_is_better, "samples": samples}
            for row, samples in self.samples.items()
        ]
        failures = [
            {"scenario": scenario, "contestant": contestant, "reasons": reasons}
            for (scenario, contestant), reasons in self.failures.items()
        ]
        path.write_text(json.dumps({"about": about, "rows": rows, "failures": failures}, indent=1) + "\n")
