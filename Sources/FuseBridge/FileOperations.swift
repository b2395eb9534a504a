import CFuse
import FileSystem
import Glibc
import Primitives
import Tree

// Open files.

extension Bridge {
    static func addFiles(_ operations: inout fuse_lowlevel_ops) {
        operations.open = { request, node, file in
            let (flags, caller) = (file!.pointee.flags, Caller(request!))
            Bridge.serve(request) { fs throws(Failure) in
                .opened(try fs.open(NodeID(node), flags: flags, caller), flags: flags)
            }
        }
        operations.create = { request, parent, name, mode, file in
            let (name, flags, caller) = (ByteString(cString: name!), file!.pointee.flags, Caller(request!))
            Bridge.serve(request) { fs throws(Failure) in
                let (entry, opened) =
                    name == KernelMessage.noName
                    ? try fs.createNameless(in: NodeID(parent), mode: mode, flags: flags, caller)
                    : try fs.create(NodeID(parent), name, mode: mode, flags: flags, caller)
                return .created(entry, opened, flags: flags)
            }
        }
        operations.read = { request, _, size, offset, file in
            Bridge.read(request!, HandleID(file!.pointee.fh), offset: Int64(offset), size: size)
        }
        operations.write = { request, _, bytes, size, offset, file in
            let data = UnsafeRawBufferPointer(start: bytes, count: size)
            Bridge.write(request!, HandleID(file!.pointee.fh), offset: Int64(offset), data)
        }
        operations.flush = { request, _, file in
            let (handle, owner) = (HandleID(file!.pointee.fh), file!.pointee.lock_owner)
            Bridge.serve(request) { fs throws(Failure) in
                try fs.flush(handle, lockOwner: owner)
                return .done
            }
        }
        operations.release = { request, _, file in
            let handle = HandleID(file!.pointee.fh)
            let isRepeated = Worker.current?.message?.isResent ?? false
            Bridge.serve(request) { fs throws(Failure) in
                try fs.release(handle, isRepeated: isRepeated)
                return .done
            }
        }
        operations.fsync = { request, _, dataOnly, file in
            let handle = HandleID(file!.pointee.fh)
            Bridge.serve(request) { fs throws(Failure) in
                try fs.sync(handle, dataOnly: dataOnly != 0)
                return .done
            }
        }
    }

    static func addRanges(_ operations: inout fuse_lowlevel_ops) {
        operations.fallocate = { request, _, mode, offset, length, file in
            let (handle, caller) = (HandleID(file!.pointee.fh), Caller(request!))
            Bridge.serve(request) { fs throws(Failure) in
                try fs.allocate(handle, mode: mode, offset: Int64(offset), length: Int64(length), caller)
                return .done
            }
        }
        operations.copy_file_range = { request, _, fromOffset, from, _, toOffset, to, length, _ in
            let (source, target) = (HandleID(from!.pointee.fh), HandleID(to!.pointee.fh))
            // The answer's count has 32 bits.
            let length = Int64(min(length, Int(UInt32.max) & ~4095))
            let caller = Caller(request!)
            Bridge.serve(request) { fs throws(Failure) in
                .written(
                    try fs.copyRange(
                        source, fromOffset: Int64(fromOffset), target, toOffset: Int64(toOffset), length: length,
                        caller))
            }
        }
        operations.lseek = { request, _, offset, whence, file in
            let handle = HandleID(file!.pointee.fh)
            Bridge.serve(request) { fs throws(Failure) in
                .position(try fs.seek(handle, offset: Int64(offset), whence: whence))
            }
        }
    }

    /// Reads into the thread's own buffer, without an allocation or a copy, unless the bucket is needed.
    private static func read(_ request: OpaquePointer, _ handle: HandleID, offset: Int64, size: Int) {
        let bridge = Bridge.of(request)
        let reply = Reply(request)
        guard let worker = Worker.current, size <= worker.scratch.count else { return reply.fail(Errno(EINVAL)) }
        let room = UnsafeMutableRawBufferPointer(rebasing: worker.scratch[..<size])
        let count: Int
        do throws(Failure) {
            count = try bridge.fileSystem.read(handle, offset: offset, into: room)
        } catch {
            return bridge.finish(reply, error) { fs throws(Failure) in
                .bytes(try Bridge.readBytes(fs, handle, offset: offset, size: size))
            }
        }
        reply.bytes(UnsafeRawBufferPointer(rebasing: room[..<count]))
    }

    private static func readBytes(
        _ fs: FileSystem, _ handle: HandleID, offset: Int64, size: Int
    ) throws(Failure) -> [UInt8] {
        var result: Result<Int, Failure> = .success(0)
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            do throws(Failure) {
                count = try fs.read(handle, offset: offset, into: UnsafeMutableRawBufferPointer(buffer))
            } catch {
                result = .failure(error)
            }
        }
        _ = try result.get()
        return bytes
    }

    /// Writes out of the kernel's message; its bytes are copied only if the bucket is needed first.
    private static func write(
        _ request: OpaquePointer, _ handle: HandleID, offset: Int64, _ data: UnsafeRawBufferPointer
    ) {
        let bridge = Bridge.of(request)
        let reply = Reply(request)
        let kills = Worker.current?.message?.writeKillsPrivileges ?? false
        let count: Int
        do throws(Failure) {
            count = try bridge.fileSystem.write(handle, offset: offset, from: data, killPrivileges: kills)
        } catch {
            if case .errno(let error) = error { return reply.fail(error) }
            let bytes = [UInt8](data)
            return bridge.finish(reply, error) { fs throws(Failure) in
                .written(try Bridge.writeBytes(fs, handle, offset: offset, bytes, killPrivileges: kills))
            }
        }
        bridge.finish(reply, .written(count))
    }

    private static func writeBytes(
        _ fs: FileSystem, _ handle: HandleID, offset: Int64, _ bytes: [UInt8], killPrivileges: Bool
    ) throws(Failure) -> Int {
        // Not inside the closure: typed errors don't pass through withUnsafeBytes.
        try bytes.withUnsafeBytes { data -> Result<Int, Failure> in
            do throws(Failure) {
                return .success(try fs.write(handle, offset: offset, from: data, killPrivileges: killPrivileges))
            } catch {
                return .failure(error)
            }
        }.get()
    }
}
