import Primitives
import Tree

/// What has to be done when. A value; one entry for each piece of work.
struct DueQueue {
    private struct Entry {
        var due: Timestamp
        var work: Work
    }

    private struct Plan {
        var due: Timestamp
        /// When the work was first put here: it can't be put off for ever.
        var since: Timestamp
    }

    private var heap: [Entry] = []
    private var plans: [Work: Plan] = [:]

    var count: Int { plans.count }

    /// Puts the work here, or puts it off to `due`, at most `limit` milliseconds after it was first put here.
    mutating func put(_ work: Work, due: Timestamp, now: Timestamp, limit: Int64) {
        if let plan = plans[work] {
            let latest = max(plan.due, plan.since.adding(milliseconds: limit))
            let moved = min(due, latest)
            if moved < plan.due { push(Entry(due: moved, work: work)) }
            plans[work]?.due = moved
        } else {
            plans[work] = Plan(due: due, since: now)
            push(Entry(due: due, work: work))
        }
    }

    /// Makes all due now.
    mutating func hurry(_ now: Timestamp) {
        heap.removeAll(keepingCapacity: true)
        for (work, plan) in plans {
            plans[work]?.due = min(plan.due, now)
            push(Entry(due: min(plan.due, now), work: work))
        }
    }

    /// The next work that is due, taken out.
    mutating func pop(_ now: Timestamp) -> Work? {
        while let first = heap.first, first.due <= now {
            let entry = popFirst()
            guard let plan = plans[entry.work] else { continue }
            if plan.due <= now {
                plans[entry.work] = nil
                return entry.work
            }
            if plan.due > entry.due { push(Entry(due: plan.due, work: entry.work)) }
        }
        return nil
    }

    /// When to look again; nil when there is nothing.
    var nextDue: Timestamp? { heap.first?.due }

    private mutating func push(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0, heap[child].due < heap[(child - 1) / 2].due {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func popFirst() -> Entry {
        heap.swapAt(0, heap.count - 1)
        let first = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].due < heap[least].due
            {
                least = child
            }
            if least == parent { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
