import ObjectStore
import Primitives

/// The operations of a store, for logs and for choosing where a fault strikes.
public enum StoreOperation: String, Sendable, CaseIterable {
    case capabilities, list, head, read, write, copy, delete, deleteMany, removeLeftovers
}

/// One call as it reached a `FaultyStore`. `key` is the destination of a copy, the prefix of a list, the first of many.
public struct StoreCall: Sendable, Equatable {
    public var operation: StoreOperation
    public var key: ByteString?

    public init(_ operation: StoreOperation, _ key: ByteString?) {
        self.operation = operation
        self.key = key
    }
}

/// Where a call is when the `onCall` hook sees it.
public enum StoreCallMoment: Sendable, Equatable {
    /// Nothing has happened yet.
    case before(StoreCall)
    /// The call was carried out (or failed); its caller doesn't know yet.
    case after(StoreCall)
}

/// What goes wrong in one call.
public enum Fault: Sendable, Equatable {
    /// The request isn't carried out.
    case fail(StoreError.Kind, retryAfterMilliseconds: Int64? = nil)
    /// The request is carried out, the answer is lost.
    case loseReply(StoreError.Kind)
    /// The request is carried out after a wait, which cancellation ends.
    case stall(milliseconds: Int64)
    /// `timedOut` now; the request is carried out at the beginning of the call that comes `calls` after it.
    case runLate(calls: Int)
    /// Read: the body was altered on its way and the store's check caught it (`corrupt`).
    case corruptBody
    /// Read: one byte is altered and nobody noticed (breaks the contract; for layers that check for themselves).
    case alterBody
    /// Read: the second half is missing and nobody noticed (breaks the contract).
    case truncateBody

    var isForReadsOnly: Bool {
        switch self {
        case .corruptBody, .alterBody, .truncateBody: true
        default: false
        }
    }
}

/// How probable each fault is in a call, from 0 to 1 together.
public struct FaultRates: Sendable {
    public var throttled = 0.0
    public var unavailable = 0.0
    public var timedOut = 0.0
    public var loseReply = 0.0
    public var runLate = 0.0
    public var stall = 0.0
    public var corruptBody = 0.0
    public var stallMilliseconds: Int64 = 10
    public var lateCalls = 3
    /// A late request is carried out after so long at the latest, without further calls; nil: only after those.
    public var lateMilliseconds: Int64?

    public init() {}

    /// The fault that `number`, from 0 to 1, stands for.
    func fault(_ number: Double) -> Fault? {
        let table: [(Double, Fault)] = [
            (throttled, .fail(.throttled)), (unavailable, .fail(.unavailable)), (timedOut, .fail(.timedOut)),
            (loseReply, .loseReply(.timedOut)), (runLate, .runLate(calls: lateCalls)),
            (stall, .stall(milliseconds: stallMilliseconds)), (corruptBody, .corruptBody),
        ]
        var sum = 0.0
        for (rate, fault) in table {
            sum += rate
            if number < sum { return fault }
        }
        return nil
    }
}
