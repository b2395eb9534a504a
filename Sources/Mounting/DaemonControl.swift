import Configuration
import FuseBridge
import Glibc
import Primitives
import Telemetry

/// What the daemon does when commands ask.
extension Daemon: ControlHandling {
    func handle(_ request: ControlRequest, reply: @escaping @Sendable (ControlReply) -> Bool) async {
        switch request {
        case .status:
            for (name, value) in status() { _ = reply(.field(name: name, value: value)) }
            _ = reply(.done)
        case .flush(let path, let limit): await flush(path, limit, reply)
        case .stop(let limit, let forced): await stop(limit, forced: forced, reply)
        case .release:
            guard state.withLock({ $0.isUnmounted }) else {
                _ = reply(.failed(.cache, "it is mounted on \(mountPoint.path)"))
                return
            }
            _ = reply(.done)
            post(.released)
        }
    }

    private func flush(_ path: String, _ limit: Int64?, _ reply: @Sendable (ControlReply) -> Bool) async {
        let left = await Drain(stack: stack).run(path: path.isEmpty ? nil : path, limitMilliseconds: limit) {
            reply(.progress($0))
        }
        _ = left.files == 0 ? reply(.done) : reply(.failed(.incomplete, leftOver(left)))
    }

    private func leftOver(_ left: Progress) -> String {
        let trouble = left.trouble.isEmpty ? "" : " (last error: \(left.trouble))"
        return "\(Self.describe(left)) not in the bucket yet\(trouble); uploads to \(mountPoint.path) go on"
    }

    private func stop(
        _ limit: Int64?, forced: Bool, _ reply: @escaping @Sendable (ControlReply) -> Bool
    ) async {
        let time = SystemTime()
        let begin = time.monotonic()
        let wanted = Lock(true)
        let left = await Drain(stack: stack).run(limitMilliseconds: limit) { progress in
            let listens = reply(.progress(progress))
            if !listens { wanted.withLock { $0 = false } }
            return listens
        }
        // Who asked has gone away: the mount stays.
        guard wanted.withLock({ $0 }) else { return }
        if left.files > 0, !forced {
            _ = reply(.failed(.incomplete, "\(leftOver(left)); --force unmounts all the same"))
            return
        }
        let rest = limit.map { max(0, $0 - time.monotonic().milliseconds(since: begin)) }
        state.withLock { state in
            state.drainMilliseconds = rest
            state.watchers.append(Hook(reply))
        }
        if let failure = unmount(forced: forced) {
            state.withLock { state in
                state.drainMilliseconds = Daemon.afterUnmountMilliseconds
                _ = state.watchers.popLast()
            }
            _ = reply(.failed(failure.code, failure.message))
        } else {
            // A mount namespace that was copied while this was mounted, a container's say, has the mount still and would
            // keep the session for as long as it lives.
            endSession(
                afterMilliseconds: Daemon.otherNamespacesMilliseconds,
                warning: "\(mountPoint.path) is still mounted in another mount namespace: it ends there too")
        }
    }

    private func unmount(forced: Bool) -> MountFailure? {
        switch mountPoint.unmount(lazily: false) {
        case .done: return nil
        case .busy where forced:
            _ = mountPoint.unmount(lazily: true)
            endSession(afterMilliseconds: 0)
            return nil
        case .busy: return mountPoint.busy
        case .failed(let reason): return MountFailure(.mountPoint, "can't unmount \(mountPoint.path): \(reason)")
        }
    }

    /// What `pail status` shows; names are the keys of its JSON.
    private func status() -> [(name: String, value: StatusValue)] {
        let usage = stack.cache.usage()
        let traffic = stack.backend.meter.metrics
        let reconciling = try? stack.reconciler.status()
        let isUnmounted = state.withLock { $0.isUnmounted }
        return [
            ("bucket", .text(configuration.bucket?.description ?? "")),
            ("mountPoint", .text(mountPoint.path)),
            ("state", .text(isUnmounted ? "unmounted, uploading" : configuration.readOnly ? "read-only" : "mounted")),
            ("passthrough", .text(session.passesThrough ? "on" : "off")),
            ("cachedBytes", .number(usage.cachedBytes)),
            ("cacheLimitBytes", .number(usage.limitBytes)),
            ("dirtyBytes", .number(usage.dirtyBytes)),
            ("pendingFiles", .number((reconciling?.backlog.names ?? 0) + (reconciling?.backlog.leftovers ?? 0))),
            ("pendingBytes", .number(reconciling?.backlog.bytes ?? 0)),
            ("uploading", .number(Int64(reconciling?.running ?? 0))),
            ("failing", .number(Int64(reconciling?.failing ?? 0))),
            ("lastError", .text(reconciling?.lastError ?? "none")),
            ("requests", .number(Int64(traffic.total.ended))),
            ("hedgedRequests", .number(Int64(traffic.hedged))),
            ("hedgesWon", .number(Int64(traffic.hedgesWon))),
            ("sentBytes", .number(traffic.bytesWritten)),
            ("receivedBytes", .number(traffic.bytesRead)),
            ("upSeconds", .number(SystemTime().now().milliseconds(since: started) / 1000)),
            ("pid", .number(Int64(getpid()))),
            ("keeper", .number(Int64(beginning.keeperProcess))),
            ("restarts", .number(Int64(beginning.restarts))),
            ("cacheDirectory", .text(directory.path)),
            ("log", .text(configuration.log.file ?? directory.log)),
            ("version", .text(Version.current)),
        ]
    }
}
