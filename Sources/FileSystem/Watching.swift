import Primitives
import Tree

/// The open files that are written past this process, each with a use of its own.
struct Watch {
    var files: [NodeID: OpenNode] = [:]
    var isRunning = false
    /// Bytes that the cache held at the last look.
    var heldBytes: Int64 = 0
    /// Uploads don't wait until files have been left alone.
    var isHurrying = false
}

/// Looks now and then at the files that the kernel writes by itself: nobody else would see them grow.
extension FileSystem {
    /// Between looks at what is being written, and while it takes room that is short.
    private static let lookMilliseconds: Int64 = 1_000
    private static let shortMilliseconds: Int64 = 100

    /// Records what was written unseen, wherever that may be.
    public func lookAtAll() {
        for id in watch.withLock({ Array($0.files.keys) }) {
            guard let open = useIfOpen(id) else { continue }
            lookAgain(open)
            endUse(open)
        }
    }

    func keepWatch(_ open: OpenNode) {
        let isNew = watch.withLock { watch -> Bool in
            guard watch.files[open.id] == nil else { return false }
            watch.files[open.id] = open
            return true
        }
        guard isNew else { return }
        state.withLock { _ in open.state.withLock { $0.users += 1 } }
        let held = contents.heldBytes
        let starts = watch.withLock { watch -> Bool in
            if watch.isRunning { return false }
            watch.isRunning = true
            watch.heldBytes = held
            return true
        }
        guard starts else { return }
        Task { [weak self] in
            var pause = FileSystem.lookMilliseconds
            while let self, self.goesOn() {
                await self.time.sleep(milliseconds: pause)
                self.lookAtAll()
                pause = self.makeRoom() ? FileSystem.lookMilliseconds : FileSystem.shortMilliseconds
            }
        }
    }

    private func goesOn() -> Bool {
        let (isRunning, relaxes) = watch.withLock { watch -> (Bool, Bool) in
            watch.isRunning = !watch.files.isEmpty
            let relaxes = !watch.isRunning && watch.isHurrying
            if relaxes { watch.isHurrying = false }
            return (watch.isRunning, relaxes)
        }
        if relaxes { reconciler.relax() }
        return isRunning
    }

    func endWatch(_ open: OpenNode) {
        let isWatched = open.mode.withLock { mode -> Bool in
            // Somebody may have opened it again.
            guard mode.handles == 0, !open.file.isUnseen else { return false }
            return watch.withLock { watch in
                guard watch.files[open.id] === open else { return false }
                watch.files[open.id] = nil
                return true
            }
        }
        if isWatched { endUse(open) }
    }

    private func lookAgain(_ open: OpenNode) {
        do throws(Failure) {
            try look(open)
        } catch {
            log.warning("files", "looking at \(open.id): \(error)")
        }
        guard open.mode.withLock({ $0.handles == 0 }) else { return }
        if open.file.isUnseen { _ = endUnseen(open) } else { endWatch(open) }
    }

    /// Evicts for what was written unseen, and for as much again, and has uploads hurry once room is short. False then.
    private func makeRoom() -> Bool {
        let before = watch.withLock { $0.heldBytes }
        let growth = max(0, contents.heldBytes - before)
        _ = contents.makeRoom(bytes: growth, forWriting: false)
        let isAmple = growth == 0 && contents.hasRoom(dirtyBytes: 0, diskBytes: 0) || hasRoomForUnseen
        let held = contents.heldBytes
        let turns = watch.withLock { watch -> Bool in
            watch.heldBytes = held
            defer { watch.isHurrying = !isAmple }
            return watch.isHurrying == isAmple
        }
        if turns { isAmple ? reconciler.relax() : reconciler.hurry() }
        return isAmple
    }
}
