"""The results as Markdown: medians, and how many times as good Pail is as a row's base, and as the best peer."""


def figure(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def times(value):
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def best_peer(results, row, peers):
    """The peer with the best median, or None."""
    medians = {name: value for name in peers if (value := results.median(row, name)) is not None}
    return (max if row.more_is_better else min)(medians, key=medians.get) if medians else None


def cell(results, row, name):
    median = results.median(row, name)
    if median is not None:
        return figure(median)
    return "failed" if results.has_failed(row, name) else ""


def table(results, own, peers):
    """`own`: the contestants that are Pail, each with two columns of ratios, where more than 1 is better."""
    names = [name for name in results.names if any(cell(results, row, name) for row in results.rows)]
    own = [name for name in own if name in names]
    heads = [f"{name} / {other}" for name in own for other in ("base", "best peer")]
    lines = ["| | " + " | ".join([*names, "base", *heads]) + " |", "|---" * (2 + len(names) + len(heads)) + "|"]
    for row in results.rows:
        cells = [cell(results, row, name) for name in names] + [row.base]
        rival = best_peer(results, row, peers)
        for name in own:
            cells.append(times(results.times_as_good(row, name, row.base)))
            cells.append(times(results.times_as_good(row, name, rival)))
        lines.append(f"| {row.name}, {row.unit} | " + " | ".join(cells) + " |")
    lines += ["", "Ratios: how many times as good, more than 1 is better."]
    for (scenario, contestant), (_, reasons) in results.failures.items():
        lines += [f"\n{contestant} failed at {scenario}: {reason}" for reason in reasons]
    return "\n".join(lines)
