import ObjectStore
import Primitives
import Tree

/// Listings of directories from beginning to end.
extension Discovery {
    /// A page, and the tree's sequence number from before it was asked for.
    private struct Answer: Sendable {
        let request: ListingPlan.Request
        let since: Int64
        let page: ListPage
    }

    func listAll(_ directory: NodeID) async throws(BucketError) {
        guard let prefix = try inTree(tree.node(directory)?.prefix) else { return }
        let began = time.monotonic()
        let since = try inTree(tree.sequence())
        let seen = try await takeOver(prefix, into: directory)
        tell(try inTree(tree.finishListing(of: directory, prefix: prefix, seen: seen, since: since, now: time.now)))
        let cost = time.monotonic().milliseconds(since: began)
        memory.withLock { memory in
            if memory.cost.count > Discovery.rememberedNames { memory.cost.removeAll() }
            memory.cost[directory] = cost
            memory.lookups[directory] = nil
        }
    }

    /// Merges all pages into the tree. Returns the hash values of the listed keys and prefixes.
    private func takeOver(_ prefix: ByteString, into directory: NodeID) async throws(BucketError) -> Set<Int> {
        let listers = memory.withLock { $0.listsInOrder } ? settings.listersAtOnce : 1
        let plan = ListingPlan(prefix: prefix, listersAtOnce: listers)
        if let seen = try await takeOver(prefix, into: directory, by: plan) { return seen }
        log.info("discover", "\(objects.name) can't be listed from anywhere: one page comes after the other")
        memory.withLock { $0.listsInOrder = false }
        return try await takeOver(prefix, into: directory)
    }

    /// nil if the store doesn't do what the plan needs.
    private func takeOver(
        _ prefix: ByteString, into directory: NodeID, by plan: ListingPlan
    ) async throws(BucketError) -> Set<Int>? {
        let result = await withTaskGroup(of: Result<Answer?, BucketError>.self) { group in
            defer { group.cancelAll() }
            return await catching { () async throws(BucketError) in
                try await takeOver(prefix, into: directory, by: plan, &group)
            }
        }
        return try result.get()
    }

    private func takeOver(
        _ prefix: ByteString, into directory: NodeID, by plan: ListingPlan,
        _ group: inout TaskGroup<Result<Answer?, BucketError>>
    ) async throws(BucketError) -> Set<Int>? {
        let began = time.now()
        var plan = plan
        ask(plan.requests(), prefix, &group)
        while let result = await group.next() {
            guard let answer = try result.get(), plan.take(answer.page, of: answer.request) else { return nil }
            // The next pages are on their way while this one is merged.
            ask(plan.requests(), prefix, &group)
            let visible = answer.page.withoutOwn()
            tell(try inTree(tree.merge(visible, into: directory, prefix: prefix, since: answer.since, now: began)))
        }
        return plan.seen
    }

    private func ask(
        _ requests: [ListingPlan.Request], _ prefix: ByteString,
        _ group: inout TaskGroup<Result<Answer?, BucketError>>
    ) {
        for request in requests {
            group.addTask { await catching { () async throws(BucketError) in try await self.answer(request, prefix) } }
        }
    }

    /// nil if the store can't begin there.
    private func answer(_ request: ListingPlan.Request, _ prefix: ByteString) async throws(BucketError) -> Answer? {
        let since = try inTree(tree.sequence())
        do throws(StoreError) {
            let page = try await objects.list(
                prefix: prefix, delimited: true, from: request.from, limit: settings.pageEntries)
            return Answer(request: request, since: since, page: page)
        } catch let error {
            if case .after? = request.from, error.kind == .unsupported || error.kind == .refused { return nil }
            throw .store(error)
        }
    }
}

extension ListPage {
    /// Without Pail's own objects.
    fileprivate func withoutOwn() -> ListPage {
        ListPage(
            objects: objects.filter { !$0.key.hasPrefix(ObjectName.own) },
            prefixes: prefixes.filter { $0 != ObjectName.own }, next: next)
    }
}
