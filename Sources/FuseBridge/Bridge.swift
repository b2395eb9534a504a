import CFuse
import FileSystem
import Glibc
import Primitives
import Telemetry

/// What the operations of a session work on: libfuse hands it to each of them.
final class Bridge: Sendable {
    let fileSystem: FileSystem
    let options: SessionOptions
    let parking: Parking
    let log: Log
    /// The kernel may speak of what another process has answered.
    let isTakenOver: Bool
    private let stopping = Lock(false)

    init(fileSystem: FileSystem, options: SessionOptions, isTakenOver: Bool, log: Log) {
        self.isTakenOver = isTakenOver
        self.fileSystem = fileSystem
        self.options = options
        self.log = log
        parking = Parking(fileSystem: fileSystem)
    }

    var isStopping: Bool { stopping.withLock { $0 } }
    func stop() { stopping.withLock { $0 = true } }

    /// The bridge a request came to.
    static func of(_ request: OpaquePointer) -> Bridge {
        Unmanaged<Bridge>.fromOpaque(fuse_req_userdata(request)!).takeUnretainedValue()
    }

    /// Runs an operation on this thread and answers; if it needs the bucket, leaves it to a task.
    static func serve(_ request: OpaquePointer?, _ operation: @escaping Operation) {
        let request = request!
        let bridge = Bridge.of(request)
        let reply = Reply(request)
        let answer: Answer
        do throws(Failure) {
            answer = try operation(bridge.fileSystem)
        } catch {
            return bridge.finish(reply, error, operation)
        }
        bridge.finish(reply, answer)
    }

    func finish(_ reply: consuming Reply, _ answer: Answer) {
        if !reply.send(answer) { parking.abandon(answer) }
    }

    /// Answers with an error, or parks the request until `operation` can do better.
    func finish(_ reply: consuming Reply, _ failure: Failure, _ operation: @escaping Operation) {
        switch failure {
        case .errno(let error): reply.fail(error)
        case .need(let need): parking.park(reply, need, operation)
        }
    }

    /// Every operation that is implemented. The kernel remembers those that are not: it checks permissions itself,
    /// and keeps locks among the processes of this machine.
    static func operations() -> fuse_lowlevel_ops {
        var operations = fuse_lowlevel_ops()
        operations.`init` = { user, connection in
            let bridge = Unmanaged<Bridge>.fromOpaque(user!).takeUnretainedValue()
            Handshake.negotiate(&connection!.pointee, bridge.log)
        }
        addNames(&operations)
        addChanges(&operations)
        addAttributes(&operations)
        addExtendedAttributes(&operations)
        addFiles(&operations)
        addRanges(&operations)
        addDirectories(&operations)
        return operations
    }
}
