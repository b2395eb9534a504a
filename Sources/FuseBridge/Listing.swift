import CFuse
import FileSystem
import Glibc
import Primitives
import Tree

/// One request for a part of a directory, to be answered with as many entries as its buffer holds.
///
/// The kernel's offsets are the file system's, except that 0 stands before "." and 1 before "..", which the file
/// system doesn't know; 2 is the file system's 0, and its others are at least 3. Each entry that is given with
/// attributes counts as a lookup of its node, which the file system counts when `emit` returns true.
struct Listing: Sendable {
    let directory: NodeID
    let handle: HandleID
    let offset: UInt64
    let plus: Bool

    init(_ node: fuse_ino_t, _ file: fuse_file_info, offset: off_t, plus: Bool) {
        directory = NodeID(node)
        handle = HandleID(file.fh)
        self.offset = UInt64(bitPattern: Int64(offset))
        self.plus = plus
    }

    /// Returns the bytes used; 0 at the end. An error after the first entry is left to the next request.
    func fill(_ buffer: UnsafeMutableRawBufferPointer, _ fs: FileSystem) throws(Failure) -> Int {
        var used = 0
        for (next, name) in [(UInt64(1), "." as ByteString), (2, "..")] where offset < next {
            let node = next == 1 ? directory : try fs.parent(directory)
            let dot = DirectoryEntry(name: name, node: node, type: S_IFDIR, next: next, entry: nil)
            guard add(dot, buffer, &used) else { return used }
        }
        let dots = used
        do throws(Failure) {
            try fs.readDirectory(handle, offset: offset <= 2 ? 0 : offset, plus: plus) { entry in
                add(entry, buffer, &used)
            }
        } catch {
            if used == dots { throw error }
        }
        return used
    }

    /// The same in memory of its own.
    func bytes(_ size: Int, _ fs: FileSystem) throws(Failure) -> [UInt8] {
        var result: Result<Int, Failure> = .success(0)
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            do throws(Failure) {
                count = try fill(UnsafeMutableRawBufferPointer(buffer), fs)
            } catch {
                result = .failure(error)
            }
        }
        _ = try result.get()
        return bytes
    }

    /// False if the entry doesn't fit.
    private func add(_ item: DirectoryEntry, _ buffer: UnsafeMutableRawBufferPointer, _ used: inout Int) -> Bool {
        let room = buffer.count - used
        let target = buffer.baseAddress!.advanced(by: used).assumingMemoryBound(to: CChar.self)
        let count = item.name.bytes.withUnsafeBytes { name -> Int in
            guard plus else {
                return pail_add_entry(
                    nil, target, room, name.baseAddress, name.count, item.node.raw, item.type, item.next)
            }
            // Without attributes the node id is 0: a name that the kernel will look up when it is asked for.
            var parameter = item.entry.map { fuse_entry_param($0) } ?? fuse_entry_param()
            parameter.attr.st_ino = .init(item.node.raw)
            if item.entry == nil { parameter.attr.st_mode = item.type }
            return pail_add_entry_plus(nil, target, room, name.baseAddress, name.count, &parameter, item.next)
        }
        guard count <= room else { return false }
        used += count
        return true
    }
}
