import Primitives

/// Why a mount could not be made, served or taken away.
public enum FuseError: Error, Sendable, CustomStringConvertible {
    /// libfuse refused the options.
    case options(String)
    /// The directory can't be mounted on.
    case mount(path: String, Errno)
    /// The kernel and libfuse did not agree on a protocol.
    case handshake(String)
    case unmount(path: String, Errno)
    /// Something in the mount is still open, or is somebody's working directory.
    case busy(path: String)
    case notMounted
    case threads(Errno)

    public var description: String {
        switch self {
        case .options(let options): "libfuse doesn't know the mount options \(options)"
        case .mount(let path, let error): "can't mount on \(path): \(error)"
        case .handshake(let problem): "the kernel's FUSE handshake failed: \(problem)"
        case .unmount(let path, let error): "can't unmount \(path): \(error)"
        case .busy(let path): "\(path) is in use; close what is open there, or detach it lazily"
        case .notMounted: "not mounted"
        case .threads(let error): "can't start a thread: \(error)"
        }
    }
}
