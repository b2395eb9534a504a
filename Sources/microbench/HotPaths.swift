import FileSystem
import Glibc
import MemoryStore
import ObjectStore
import Primitives
import Tree

/// The calls that a busy mount makes most, on what is known and here.
struct HotPaths {
    static let fileBytes = 8 << 20
    static let entries = 100
    /// Of the file that is not whole, this much is here.
    static let presentBytes: Int64 = 1 << 20
    static let page = 4096

    let mounted: Mounted
    private let room = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.page, alignment: 4096)

    static func bucket() -> MemoryStore {
        let bucket = MemoryStore()
        for name in ["whole", "part", "changed"] {
            _ = bucket.put(ByteString(name), [UInt8](repeating: 1, count: fileBytes))
        }
        for number in 0..<entries { _ = bucket.put(ByteString("folder/entry\(number)"), [1]) }
        return bucket
    }

    func measure() async throws -> [Measurement] {
        defer { room.deallocate() }
        return try await reading() + writing() + names()
    }

    private func reading() async throws -> [Measurement] {
        let (_, whole) = try await mounted.open("whole", flags: O_RDONLY)
        try await mounted.fetch(whole, 0..<Int64(Self.fileBytes))
        let (node, part) = try await mounted.open("part", flags: O_RDONLY)
        try await mounted.fetch(part, 0..<Self.presentBytes)
        guard let file = mounted.cache.existing(node.raw) else { throw Errno(ENOENT) }
        let (pages, partPages) = (Int64(Self.fileBytes / Self.page), Self.presentBytes / Int64(Self.page))
        return [
            try Measurement("read 4 KiB of a file that is whole in the cache", limit: 0) {
                try read(whole, page: Int64.random(in: 0..<pages))
            },
            try Measurement("read 4 KiB of a file of which a part is in the cache", limit: 0) {
                try read(part, page: Int64.random(in: 0..<partPages))
            },
            Measurement("page map: what is missing of 128 KiB, nothing", limit: 0) {
                precondition(file.missing(in: 0..<(128 << 10)).isEmpty)
            },
            Measurement("page map: what is missing of 128 KiB, all", limit: 2) {
                precondition(!file.missing(in: (4 << 20)..<((4 << 20) + 128 << 10)).isEmpty)
            },
        ]
    }

    private func writing() async throws -> [Measurement] {
        let (_, changed) = try await mounted.open("changed", flags: O_RDWR)
        try await mounted.fetch(changed, 0..<Int64(Self.fileBytes))
        let name = ByteString("new")
        let (_, new) = try await mounted.run { () throws(Failure) in
            try mounted.fs.create(.root, name, mode: 0o644, flags: O_RDWR, mounted.caller)
        }
        let pages = Int64(Self.fileBytes / Self.page)
        return [
            try Measurement("write 4 KiB into a cached file of the bucket", limit: 0) {
                try write(changed, page: Int64.random(in: 0..<pages))
            },
            try Measurement("write 4 KiB into a new file", limit: 0) {
                try write(new.handle, page: Int64.random(in: 0..<pages))
            },
        ]
    }

    private func names() async throws -> [Measurement] {
        let fs = mounted.fs
        let folder = try await mounted.node("folder")
        let handle = try await mounted.run { () throws(Failure) in try fs.openDirectory(folder, mounted.caller).handle }
        try await mounted.run { () throws(Failure) in
            try fs.readDirectory(handle, offset: 0, plus: false) { _ in true }
        }
        let name = ByteString("entry7")
        let node = try await mounted.run { () throws(Failure) in try fs.lookup(folder, name) }.attributes.node
        return [
            try Measurement("lookup of a known name", limit: 13) { _ = try fs.lookup(folder, name) },
            try Measurement("getattr of a known file", limit: 5) { _ = try fs.attributes(node, handle: nil) },
            try Measurement("readdir of a known directory, \(Self.entries) entries", limit: 319, count: 1_000) {
                try fs.readDirectory(handle, offset: 0, plus: false) { _ in true }
            },
            try Measurement("readdirplus of the same", limit: 319, count: 1_000) {
                try fs.readDirectory(handle, offset: 0, plus: true) { _ in true }
            },
        ]
    }

    private func read(_ handle: HandleID, page: Int64) throws {
        let count = try mounted.fs.read(handle, offset: page * Int64(Self.page), into: room)
        precondition(count == Self.page)
    }

    private func write(_ handle: HandleID, page: Int64) throws {
        let bytes = UnsafeRawBufferPointer(room)
        _ = try mounted.fs.write(handle, offset: page * Int64(Self.page), from: bytes, killPrivileges: false)
    }
}
