import FileSystem
import Glibc
import Primitives
import Tree

/// The reference's operations as calls of the file system. Each is one call that answers at once or needs something;
/// the names that lead there are looked up anew each time, as a kernel without a cache does.
extension Run {
    func carryOut(_ operation: Operation) throws(Failure) {
        switch operation {
        case .open(let slot, let path, let truncating): try open(slot, path, truncating)
        case .write(let slot, let offset, let bytes): try write(slot, offset, bytes)
        case .read(let slot): try compareContent(slot)
        case .sync(let slot): try fs.sync(handle(slot), dataOnly: slot % 2 == 0)
        case .close(let slot):
            try fs.flush(handle(slot), lockOwner: 0)
            try fs.release(handle(slot))
            handles[slot] = nil
        case .resize(let path, let bytes):
            var change = AttributeChange()
            change.sizeBytes = Int64(bytes)
            _ = try fs.setAttributes(node(path), change, handle: nil, caller)
        case .changeMode(let path, let mode):
            var change = AttributeChange()
            change.mode = mode
            _ = try fs.setAttributes(node(path), change, handle: nil, caller)
        default: try changeNames(operation)
        }
    }

    private func changeNames(_ operation: Operation) throws(Failure) {
        switch operation {
        case .makeDirectory(let path):
            let (parent, name) = try place(path)
            forget(try fs.makeDirectory(parent, name, mode: 0o755, caller))
        case .symlink(let path, let target):
            let (parent, name) = try place(path)
            forget(try fs.makeSymlink(parent, name, target: ByteString(target), caller))
        case .link(let path, let new):
            let node = try node(path)
            let (parent, name) = try place(new)
            forget(try fs.link(node, to: parent, name, caller))
        case .rename(let path, let new): try rename(path, new, flags: 0)
        case .exchange(let path, let other): try rename(path, other, flags: 2)
        case .unlink(let path):
            let (parent, name) = try place(path)
            // unlink(2) on a directory is the kernel's to refuse.
            let found = try fs.lookup(parent, name)
            forget(found)
            if found.attributes.mode & S_IFMT == S_IFDIR { throw Failure.errno(Errno(EISDIR)) }
            try fs.unlink(parent, name, caller)
        case .removeDirectory(let path):
            let (parent, name) = try place(path)
            try fs.removeDirectory(parent, name, caller)
        case .syncDirectory(let path):
            let directory = try fs.openDirectory(node(path), caller).handle
            defer { try? fs.releaseDirectory(directory) }
            try fs.syncDirectory(directory)
        default: break
        }
    }

    private func rename(_ path: String, _ new: String, flags: UInt32) throws(Failure) {
        let (parent, name) = try place(path)
        let (newParent, newName) = try place(new)
        try fs.rename(parent, name, to: newParent, newName, flags: flags, caller)
    }

    private func open(_ slot: Int, _ path: String, _ truncating: Bool) throws(Failure) {
        let (parent, name) = try place(path)
        let flags = O_RDWR | (truncating ? O_TRUNC : 0)
        let (entry, opened) = try fs.create(parent, name, mode: 0o644, flags: flags, caller)
        forget(entry)
        handles[slot] = opened.handle
    }

    private func handle(_ slot: Int) throws(Failure) -> HandleID {
        guard let handle = handles[slot] else { throw Failure.errno(Errno(EBADF)) }
        return handle
    }

    private func write(_ slot: Int, _ offset: Int, _ bytes: [UInt8]) throws(Failure) {
        let handle = try handle(slot)
        let result = bytes.withUnsafeBytes { buffer -> Result<Int, Failure> in
            do throws(Failure) {
                return .success(try fs.write(handle, offset: Int64(offset), from: buffer, killPrivileges: false))
            } catch { return .failure(error) }
        }
        _ = try result.get()
    }

    /// Reads all of an open file and holds it against the reference.
    private func compareContent(_ slot: Int) throws(Failure) {
        guard let file = reference.slots[slot], let expected = reference.contents[file] else { return }
        let seen = try readAll(handle(slot), bytes: expected.count + 10)
        if seen != expected, !world.disk.isDead {
            difference = "reading \(slot): \(seen.count) bytes differ from the \(expected.count) that were written"
        }
    }

    func readAll(_ handle: HandleID, bytes: Int) throws(Failure) -> [UInt8] {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 1)
        defer { room.deallocate() }
        let count = try fs.read(handle, offset: 0, into: room)
        return Array(room[0..<count])
    }

    func forget(_ entry: Entry) { fs.forget(entry.attributes.node, 1) }

    func node(_ path: String) throws(Failure) -> NodeID {
        var place = NodeID.root
        for part in path.split(separator: "/") {
            let entry = try fs.lookup(place, ByteString(part))
            forget(entry)
            place = entry.attributes.node
        }
        return place
    }

    func place(_ path: String) throws(Failure) -> (NodeID, ByteString) {
        (try node(Reference.parent(path)), ByteString(path.split(separator: "/").last ?? ""))
    }
}
