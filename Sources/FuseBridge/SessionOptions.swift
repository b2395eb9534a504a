import Glibc

/// How a file system is mounted.
public struct SessionOptions: Sendable {
    /// What /proc/mounts shows as the source, e.g. `s3://bucket`. Never a secret.
    public var source: String
    /// Shown in /proc/mounts as `fuse.SUBTYPE`.
    public var subtype = "pail"
    /// Others than the mounting user may enter; for an ordinary user /etc/fuse.conf must allow it.
    public var allowOther = false
    public var readOnly = false
    /// Further mount options as in fstab, e.g. `nosuid`, `noatime`. Permissions are always checked by the kernel.
    public var extra: [String] = []
    /// Threads that take requests from the kernel.
    public var threads = SessionOptions.defaultThreads
    /// How long the kernel may keep attributes that getattr and setattr answered.
    public var attributeMilliseconds: Int64 = 60_000
    /// The kernel's read-ahead; taking effect needs root.
    public var readAheadKiB = 1024

    /// Set if the kernel is to read and write contents by itself.
    public var passthrough: Passthrough?

    /// What the kernel's own reading and writing needs to know.
    public struct Passthrough: Sendable {
        /// How many file systems lie on others where the contents are.
        public var stackDepth: Int
        /// Some file that lies there, to try it with.
        public var trialFile: String

        public init(stackDepth: Int, trialFile: String) {
            self.stackDepth = stackDepth
            self.trialFile = trialFile
        }
    }

    public init(source: String) { self.source = source }

    /// As many as there are processors, 4 to 16.
    public static var defaultThreads: Int { max(4, min(16, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    /// The argument of `-o`, as libfuse parses it: a backslash takes the meaning from the next character.
    var mountOptions: String {
        var options = ["fsname=\(Self.escaped(source))", "subtype=\(Self.escaped(subtype))", "default_permissions"]
        if allowOther { options.append("allow_other") }
        if readOnly { options.append("ro") }
        return (options + extra).joined(separator: ",")
    }

    static func escaped(_ value: String) -> String {
        var result = ""
        for character in value {
            if character == "," || character == "\\" { result.append("\\") }
            result.append(character)
        }
        return result
    }
}
