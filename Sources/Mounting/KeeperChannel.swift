import CSystem
import Configuration
import Glibc

/// A text and open files, as they go between a daemon and its keeper.
struct Parcel: Sendable {
    var text = ""
    var descriptors: [Int32] = []

    func close() { for descriptor in descriptors { Glibc.close(descriptor) } }
}

/// One end of the socket between a daemon and the keeper that has started it.
public struct KeeperChannel: Sendable {
    static let variable = "PAIL_KEEPER_FD"
    private static let maximumTextBytes = 16 << 10
    private static let maximumDescriptors = 8

    let descriptor: Int32

    /// The end that this process was started with; nil if nobody keeps it. To be asked for once.
    static func inherited() -> KeeperChannel? {
        guard let text = ProcessEnvironment.value(variable), let descriptor = Int32(text) else { return nil }
        unsetenv(variable)
        guard pail_fcntl(descriptor, F_SETFD, Int(FD_CLOEXEC)) == 0 else { return nil }
        return KeeperChannel(descriptor: descriptor)
    }

    /// Whether this process was started by a keeper.
    public static var isInherited: Bool { ProcessEnvironment.value(variable) != nil }

    /// Two ends of a new socket, which are not inherited.
    static func pair() -> (KeeperChannel, KeeperChannel)? {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            return nil
        }
        return (KeeperChannel(descriptor: ends[0]), KeeperChannel(descriptor: ends[1]))
    }

    /// False if the other side has gone. The descriptors remain the caller's.
    @discardableResult
    func send(_ parcel: Parcel) -> Bool {
        let text = Array((parcel.text + "\n").utf8)
        return pail_send_descriptors(
            descriptor, text, text.count, parcel.descriptors, Int32(parcel.descriptors.count)) == text.count
    }

    /// The next parcel, whose descriptors are the caller's; nil when the other side has gone. Waits for it.
    func receive() -> Parcel? {
        var bytes = [UInt8](repeating: 0, count: Self.maximumTextBytes)
        var descriptors = [Int32](repeating: -1, count: Self.maximumDescriptors)
        while true {
            var count = Int32(descriptors.count)
            let length = Int(pail_receive_descriptors(descriptor, &bytes, bytes.count, &descriptors, &count))
            if length < 0, errno == EINTR { continue }
            guard length > 0 else { return nil }
            let text = String(decoding: bytes[..<(length - 1)], as: UTF8.self)
            return Parcel(text: text, descriptors: Array(descriptors[..<Int(count)]))
        }
    }

    func close() { Glibc.close(descriptor) }
}
