"""The results as Markdown: medians, and how many times as good Pail is as the disk or raw, and as the best peer."""


def figure(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def best_peer(results, row, peers):
    """The peer with the best median, or None."""
    medians = {name: value for name in peers if (value := results.median(row, name)) is not None}
    return (max if row.more_is_better else min)(medians, key=medians.get) if medians else None


def ratio(results, row, one, other):
    times = results.times_as_good(row, one, other) if other else None
    return f"{times:.2g}" if times is not None and times < 10 else "" if times is None else f"{times:,.0f}"


def table(results, names, own, peers):
    """`own`: the contestants that are Pail, each with columns of ratios."""
    heads = [f"{name} / base" for name in own] + [f"{name} / best peer" for name in own]
    lines = ["| | " + " | ".join(names + heads) + " |", "|---" * (1 + len(names) + len(heads)) + "|"]
    for row, samples in results.samples.items():
        cells = [figure(results.median(row, name)) if name in samples else "" for name in names]
        cells += [ratio(results, row, name, row.base) for name in own]
        rival = best_peer(results, row, peers)
        cells += [ratio(results, row, name, rival) for name in own]
        lines.append(f"| {row.name}, {row.unit} | " + " | ".join(cells) + " |")
    for (scenario, contestant), reasons in results.failures.items():
        lines += [f"\n{contestant} failed at {scenario}: {reason}" for reason in reasons]
    return "\n".join(lines)
