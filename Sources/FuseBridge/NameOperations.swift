import CFuse
import FileSystem
import Primitives
import Tree

// Names: looking them up and taking them away, and the kernel's references to nodes.

extension Bridge {
    static func addNames(_ operations: inout fuse_lowlevel_ops) {
        operations.lookup = { request, parent, name in
            let name = ByteString(cString: name!)
            Bridge.serve(request) { fs throws(Failure) in .entry(try fs.lookup(NodeID(parent), name)) }
        }
        operations.forget = { request, node, count in
            Bridge.of(request!).fileSystem.forget(NodeID(node), count)
            Reply(request!).none()
        }
        operations.forget_multi = { request, count, forgotten in
            let fileSystem = Bridge.of(request!).fileSystem
            for item in UnsafeBufferPointer(start: forgotten, count: count) {
                fileSystem.forget(NodeID(item.ino), item.nlookup)
            }
            Reply(request!).none()
        }
        operations.readlink = { request, node in
            Bridge.serve(request) { fs throws(Failure) in .target(try fs.readLink(NodeID(node))) }
        }
        operations.unlink = { request, parent, name in
            let (name, caller) = (ByteString(cString: name!), Caller(request!))
            Bridge.serve(request) { fs throws(Failure) in
                try fs.unlink(NodeID(parent), name, caller)
                return .done
            }
        }
        operations.rmdir = { request, parent, name in
            let (name, caller) = (ByteString(cString: name!), Caller(request!))
            Bridge.serve(request) { fs throws(Failure) in
                try fs.removeDirectory(NodeID(parent), name, caller)
                return .done
            }
        }
    }

    static func addChanges(_ operations: inout fuse_lowlevel_ops) {
        operations.mknod = { request, parent, name, mode, device in
            let (name, caller) = (ByteString(cString: name!), Caller(request!))
            Bridge.serve(request) { fs throws(Failure) in
                .entry(try fs.makeNode(NodeID(parent), name, mode: mode, device: UInt64(device), caller))
            }
        }
        operations.mkdir = { request, parent, name, mode in
            let (name, caller) = (ByteString(cString: name!), Caller(request!))
            Bridge.serve(request) { fs throws(Failure) in
                .entry(try fs.makeDirectory(NodeID(parent), name, mode: mode, caller))
            }
        }
        operations.symlink = { request, target, parent, name in
            let (target, name, caller) = (ByteString(cString: target!), ByteString(cString: name!), Caller(request!))
            Bridge.serve(request) { fs throws(Failure) in
                .entry(try fs.makeSymlink(NodeID(parent), name, target: target, caller))
            }
        }
        operations.link = { request, node, parent, name in
            let (name, caller) = (ByteString(cString: name!), Caller(request!))
            Bridge.serve(request) { fs throws(Failure) in
                .entry(try fs.link(NodeID(node), to: NodeID(parent), name, caller))
            }
        }
        operations.rename = { request, parent, name, newParent, newName, flags in
            let (name, newName) = (ByteString(cString: name!), ByteString(cString: newName!))
            let caller = Caller(request!)
            Bridge.serve(request) { fs throws(Failure) in
                try fs.rename(NodeID(parent), name, to: NodeID(newParent), newName, flags: flags, caller)
                return .done
            }
        }
    }
}
