import Primitives

/// A POSIX access control list (acl(5)) in the form in which Linux keeps it as an extended attribute: a version of 4
/// bytes, then for each entry a tag and permissions of 2 bytes and an id of 4, all with the little end first
/// (linux/posix_acl_xattr.h). The kernel has checked its rules and does the deciding; what is left to the file system
/// is that mode and list say the same, and what new files inherit.
struct AccessControlList: Equatable {
    static let accessName: ByteString = "system.posix_acl_access"
    static let defaultName: ByteString = "system.posix_acl_default"

    private enum Tag {
        static let owner: UInt16 = 0x01
        static let group: UInt16 = 0x04
        static let mask: UInt16 = 0x10
        static let other: UInt16 = 0x20
    }

    private struct Entry: Equatable {
        var tag: UInt16
        var permissions: UInt16
        var id: UInt32
    }

    private static let version: UInt32 = 2
    private static let headerBytes = 4
    private static let entryBytes = 8

    private var entries: [Entry] = []

    /// nil for what is no such list.
    init?(_ bytes: [UInt8]) {
        func number(_ offset: Int, _ count: Int) -> UInt32 {
            (0..<count).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
        }
        guard bytes.count >= Self.headerBytes, (bytes.count - Self.headerBytes).isMultiple(of: Self.entryBytes),
            number(0, 4) == Self.version
        else { return nil }
        for offset in stride(from: Self.headerBytes, to: bytes.count, by: Self.entryBytes) {
            let (tag, permissions) = (UInt16(number(offset, 2)), UInt16(number(offset + 2, 2)) & 7)
            entries.append(Entry(tag: tag, permissions: permissions, id: number(offset + 4, 4)))
        }
        guard entries.contains(where: { $0.tag == Tag.owner }), entries.contains(where: { $0.tag == Tag.group }),
            entries.contains(where: { $0.tag == Tag.other })
        else { return nil }
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        func append(_ value: UInt32, _ count: Int) {
            for place in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(8 * place))) }
        }
        append(Self.version, 4)
        for entry in entries {
            append(UInt32(entry.tag), 2)
            append(UInt32(entry.permissions), 2)
            append(entry.id, 4)
        }
        return bytes
    }

    /// It says no more than a mode does.
    var isMinimal: Bool { entries.count == 3 }

    /// The nine permission bits that stat shows; the group's are the mask's where there is one.
    var mode: UInt32 {
        get { permissions(Tag.owner) << 6 | permissions(groupTag) << 3 | permissions(Tag.other) }
        set {
            set(Tag.owner, newValue >> 6)
            set(groupTag, newValue >> 3)
            set(Tag.other, newValue)
        }
    }

    /// What a new file gets that is asked for with `mode`, where this is its directory's default list.
    func inherited(_ mode: UInt32) -> AccessControlList {
        var list = self
        list.mode = self.mode & mode
        return list
    }

    private var groupTag: UInt16 { entries.contains { $0.tag == Tag.mask } ? Tag.mask : Tag.group }

    private func permissions(_ tag: UInt16) -> UInt32 {
        UInt32(entries.first { $0.tag == tag }?.permissions ?? 0)
    }

    private mutating func set(_ tag: UInt16, _ bits: UInt32) {
        guard let index = entries.firstIndex(where: { $0.tag == tag }) else { return }
        entries[index].permissions = UInt16(bits & 7)
    }
}
