import FuseBridge
import Glibc
import Primitives
import Telemetry

/// How a daemon comes to its mount: by making it, or by taking over that of a daemon that has died.
extension Daemon {
    /// What a mount comes to.
    private enum Mounted {
        /// Requests can be served.
        case serving
        /// It was unmounted while no daemon served it.
        case unmounted
    }

    private static let answerMilliseconds: Int64 = 30_000

    /// Mounts and returns when the mount answers.
    func mount() async throws(MountFailure) {
        let server: ControlServer
        let mounted: Mounted
        do throws(MountFailure) {
            mounted = try mountSession()
            server = try ControlServer(directory, handler: self)
        } catch {
            await abandon()
            throw error
        }
        switch mounted {
        case .serving: runSession()
        case .unmounted: continuation.yield(.unmounted)
        }
        do throws(MountFailure) {
            if beginning.kept == nil { try await checkAnswer() }
            try register()
        } catch {
            server.close()
            await abandon()
            throw error
        }
        Signals.watch { [continuation] in continuation.yield(.signal($0)) }
        control.withLock { $0 = server }
        Task {
            await stack.backend.learnCapabilities(configuration, directory)
            await stack.backend.removeLeftovers(configuration, log: log)
        }
        // So that no other file system is kept busy.
        chdir("/")
        let how = beginning.kept == nil ? "mounted" : mounted == .serving ? "took over" : "found unmounted:"
        log.info("mount", "\(how) \(configuration.bucket?.description ?? "") on \(mountPoint.path)")
    }

    private func mountSession() throws(MountFailure) -> Mounted {
        do throws(FuseError) {
            if place.isGone { return .unmounted }
            if place.former != nil {
                do throws(FuseError) {
                    try session.takeOver()
                } catch .notMounted {
                    return .unmounted
                }
                return .serving
            }
            try session.mount(at: mountPoint.path)
        } catch {
            throw MountFailure(.mountPoint, "\(error)\(remedy)")
        }
        // With a new mount the kernel counts its requests anew.
        do {
            try stack.tree.forgetRequests()
        } catch {
            throw MountFailure(.cache, "cache directory \(directory.path): \(error)")
        }
        return .serving
    }

    private func runSession() {
        Threads.detach { [self] in
            do {
                try session.run()
            } catch {
                log.error("mount", "\(error)")
            }
            continuation.yield(.unmounted)
        }
    }

    /// Makes the mount known, and leaves with the keeper what the next daemon needs.
    private func register() throws(MountFailure) {
        let entry: Registration
        if let kept = beginning.kept {
            entry = Registration(path: kept.registrationPath, descriptor: kept.registration)
        } else {
            entry = try registry.add(
                mountPoint: mountPoint.path, cacheDirectory: directory.path, process: beginning.supervisor)
        }
        registration.withLock { $0 = entry }
        guard let keeper = beginning.keeper else { return }
        // One that was taken over is there already.
        guard place.former == nil, let session = session.kept else {
            keeper.send(Parcel())
            return
        }
        let kept = KeptMount(
            session: session, references: place.references.descriptor, cacheDirectory: directory.path,
            cacheID: stack.tree.cacheID, lock: place.lock.descriptor, registration: entry.descriptor,
            registrationPath: entry.path)
        if !keeper.send(kept.parcel) { log.warning("mount", "nobody keeps the mount: it ends with this process") }
    }

    /// What may be in the way of a mount that was refused.
    private var remedy: String {
        if let fault = FuseDevice.fault() { return ": \(fault.what): \(fault.remedy)" }
        if geteuid() == 0 { return "" }
        if configuration.allowOther { return ": /etc/fuse.conf must have the line user_allow_other" }
        return ": pail doctor says what is missing"
    }

    private func checkAnswer() async throws(MountFailure) {
        let path = mountPoint.path
        let code = await Threads.value(withinMilliseconds: Self.answerMilliseconds) { () -> Int32 in
            var status = stat()
            return stat(path, &status) == 0 ? 0 : errno
        }
        guard let code else {
            throw MountFailure(.failed, "\(path) is mounted, but doesn't answer; see \(directory.log)")
        }
        if code != 0 { throw MountFailure(.failed, "\(path) is mounted, but answers: \(Errno(code))") }
    }

    /// Undoes a start that went wrong.
    private func abandon() async {
        // A mount that was taken over is left to the next daemon.
        if place.former == nil {
            session.stop()
            _ = mountPoint.unmount(lazily: true)
        }
        await stack.close()
        RunningMarker(directory: directory).end()
    }
}
