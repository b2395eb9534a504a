import Glibc

/// The running kernel's version.
public struct KernelRelease: Comparable, Sendable {
    public let major: Int
    public let minor: Int

    public init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// From what uname(2) says, e.g. `6.1.0-18-amd64`; nil for what doesn't begin so.
    public init?(_ release: String) {
        let numbers = release.split(separator: ".", maxSplits: 2).prefix(2).map { Int($0.prefix { $0.isNumber }) }
        guard numbers.count == 2, let major = numbers[0], let minor = numbers[1] else { return nil }
        self.init(major, minor)
    }

    public static let current: KernelRelease? = {
        var name = utsname()
        guard uname(&name) == 0 else { return nil }
        return withUnsafeBytes(of: &name.release) {
            KernelRelease(String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self))
        }
    }()

    public static func < (one: KernelRelease, other: KernelRelease) -> Bool {
        (one.major, one.minor) < (other.major, other.minor)
    }

    /// Whether directories that the kernel keeps (FOPEN_CACHE_DIR) are read right: those of Linux 6.9 to 6.12 are not.
    public var readsKeptDirectories: Bool { !(KernelRelease(6, 9)...KernelRelease(6, 12)).contains(self) }
}
