"""The samples: row to contestant to numbers, and why a contestant has none."""
import json
import statistics
from dataclasses import dataclass

from chart import chart, file_name


@dataclass(frozen=True)
class Row:
    """One line of the table. `base`: the contestant that all others are compared with, if there is one."""
    name: str
    unit: str
    base: str = ""
    more_is_better: bool = False

    @property
    def better(self):
        return "more is better" if self.more_is_better else "less is better"


class Results:
    """`names` of contestants and `rows` are in the order of the table; those without a sample are left out."""

    def __init__(self, names, rows):
        self.names = names
        self.samples = {row: {} for row in rows}
        self.failures = {}

    def note(self, row, contestant, value):
        self.samples[row].setdefault(contestant, []).append(value)
        print(f"  {contestant:16} {row.name}: {value:,.4g} {row.unit}", flush=True)

    def fail(self, scenario, contestant, reason):
        rows, reasons = self.failures.setdefault((scenario.name, contestant), (scenario.rows, []))
        if reason not in reasons:
            reasons.append(reason)
        print(f"  {contestant:16} {scenario.name}: failed: {reason}", flush=True)

    def has_failed(self, row, contestant):
        return any(name == contestant and row in rows for (_, name), (rows, _) in self.failures.items())

    @property
    def rows(self):
        return [row for row, samples in self.samples.items() if samples]

    def median(self, row, contestant):
        values = self.samples[row].get(contestant)
        return statistics.median(values) if values else None

    def times_as_good(self, row, one, other):
        """How many times as fast, or as small, `one` is as `other`: the median of the rounds' ratios, since the machine
        may be busier in one round than in the next. None if either has no figure."""
        mine, theirs = self.samples[row].get(one), self.samples[row].get(other)
        if not mine or not theirs:
            return None
        if len(mine) != len(theirs):
            mine, theirs = [statistics.median(mine)], [statistics.median(theirs)]
        ratios = [first / second for first, second in zip(mine, theirs)]
        return statistics.median(ratios if row.more_is_better else [1 / ratio for ratio in ratios])

    def write(self, folder, about):
        """samples.json, and a chart for each row."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {"row": row.name, "unit": row.unit, "better": row.better, "samples": self.samples[row]}
            for row in self.rows
        ]
        failures = [
            {"scenario": scenario, "contestant": contestant, "reasons": reasons}
            for (scenario, contestant), (_, reasons) in self.failures.items()
        ]
        text = json.dumps(about | {"rows": rows, "failures": failures}, indent=1)
        (folder / "samples.json").write_text(text + "\n")
        for row in self.rows:
            ordered = {name: self.samples[row][name] for name in self.names if name in self.samples[row]}
            medians = {name: self.median(row, name) for name in ordered}
            (folder / file_name(row)).write_text(chart(row, ordered, medians))
