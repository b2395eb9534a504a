import CFuse
import FileSystem
import Glibc
import Primitives
import Tree

// What stat(2), statfs(2) and the extended attribute calls show and change.

extension Bridge {
    static func addAttributes(_ operations: inout fuse_lowlevel_ops) {
        operations.getattr = { request, node, file in
            let handle = file.map { HandleID($0.pointee.fh) }
            let milliseconds = Bridge.of(request!).options.attributeMilliseconds
            Bridge.serve(request) { fs throws(Failure) in
                .attributes(try fs.attributes(NodeID(node), handle: handle), keptFor: milliseconds)
            }
        }
        operations.setattr = { request, node, attributes, which, file in
            let handle = file.map { HandleID($0.pointee.fh) }
            let milliseconds = Bridge.of(request!).options.attributeMilliseconds
            var wanted = AttributeChange(attributes!.pointee, which: which)
            wanted.killPrivileges = Worker.current?.message?.changeKillsPrivileges ?? false
            let (change, caller) = (wanted, Caller(request!))
            Bridge.serve(request) { fs throws(Failure) in
                let changed = try fs.setAttributes(NodeID(node), change, handle: handle, caller)
                return .attributes(changed, keptFor: milliseconds)
            }
        }
        operations.statfs = { request, _ in
            Bridge.serve(request) { fs throws(Failure) in .statistics(try fs.statistics()) }
        }
    }

    static func addExtendedAttributes(_ operations: inout fuse_lowlevel_ops) {
        operations.getxattr = { request, node, name, size in
            let name = ByteString(cString: name!)
            Bridge.serve(request) { fs throws(Failure) in
                try Bridge.sized(try fs.getExtendedAttribute(NodeID(node), name), room: size)
            }
        }
        operations.listxattr = { request, node, size in
            Bridge.serve(request) { fs throws(Failure) in
                let names = try fs.listExtendedAttributes(NodeID(node))
                return try Bridge.sized(names.flatMap { $0.bytes + [0] }, room: size)
            }
        }
        operations.setxattr = { request, node, name, value, size, flags in
            let (name, caller) = (ByteString(cString: name!), Caller(request!))
            let value = [UInt8](UnsafeRawBufferPointer(start: value, count: size))
            Bridge.serve(request) { fs throws(Failure) in
                try fs.setExtendedAttribute(NodeID(node), name: name, value: value, flags: flags, caller)
                return .done
            }
        }
        operations.removexattr = { request, node, name in
            let (name, caller) = (ByteString(cString: name!), Caller(request!))
            Bridge.serve(request) { fs throws(Failure) in
                try fs.removeExtendedAttribute(NodeID(node), name: name, caller)
                return .done
            }
        }
    }

    /// As getxattr(2) answers: without room, how much is needed.
    private static func sized(_ value: [UInt8], room: Int) throws(Failure) -> Answer {
        if room == 0 { return .needed(value.count) }
        if value.count > room { throw .errno(Errno(ERANGE)) }
        return .bytes(value)
    }
}
