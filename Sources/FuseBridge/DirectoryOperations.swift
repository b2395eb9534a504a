import CFuse
import FileSystem
import Glibc
import Primitives
import Tree

// Directories being read.

extension Bridge {
    static func addDirectories(_ operations: inout fuse_lowlevel_ops) {
        operations.opendir = { request, node, _ in
            let caller = Caller(request!)
            Bridge.serve(request) { fs throws(Failure) in .directory(try fs.openDirectory(NodeID(node), caller)) }
        }
        operations.readdir = { request, node, size, offset, file in
            Bridge.list(request!, Listing(node, file!.pointee, offset: offset, plus: false), size: size)
        }
        operations.readdirplus = { request, node, size, offset, file in
            Bridge.list(request!, Listing(node, file!.pointee, offset: offset, plus: true), size: size)
        }
        operations.releasedir = { request, _, file in
            let handle = HandleID(file!.pointee.fh)
            Bridge.serve(request) { fs throws(Failure) in
                try fs.releaseDirectory(handle)
                return .done
            }
        }
        operations.fsyncdir = { request, _, _, file in
            let handle = HandleID(file!.pointee.fh)
            Bridge.serve(request) { fs throws(Failure) in
                try fs.syncDirectory(handle)
                return .done
            }
        }
    }

    private static func list(_ request: OpaquePointer, _ listing: Listing, size: Int) {
        let bridge = Bridge.of(request)
        let reply = Reply(request)
        guard let worker = Worker.current else { return reply.fail(Errno(EIO)) }
        let room = UnsafeMutableRawBufferPointer(rebasing: worker.scratch[..<min(size, worker.scratch.count)])
        let count: Int
        do throws(Failure) {
            count = try listing.fill(room, bridge.fileSystem)
        } catch {
            return bridge.finish(reply, error) { fs throws(Failure) in .bytes(try listing.bytes(size, fs)) }
        }
        reply.bytes(UnsafeRawBufferPointer(rebasing: room[..<count]))
    }
}
