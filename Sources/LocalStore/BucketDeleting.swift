import CSystem
import Glibc
import ObjectStore
import Primitives

extension Bucket {
    func delete(_ key: ByteString, _ condition: Condition, _ request: Request) throws(StoreError) {
        guard let path = try? ObjectPath(key), try object(key, request) != nil else {
            return
        }
        if try remove(path, key, condition, request) { try prune(path.parents, request) }
    }

    /// Returns whether its directory has one name less.
    private func remove(
        _ path: ObjectPath, _ key: ByteString, _ condition: Condition, _ request: Request
    ) throws(StoreError) -> Bool {
        let lock = try lock(key, request)
        defer { withExtendedLifetime(lock) {} }
        guard let parent = try directory(path.parents, request),
            let object = try object(path, in: parent, key, request)
        else { return false }
        try check(condition, on: object, request)
        let name = path.name.cString
        if path.isMarker {
            try keeper(request).remove(object.descriptor, request)
            try request.check("fsync") { fsync(object.descriptor.number) }
            return try Self.removeDirectory(name, in: parent, request)
        }
        guard try request.checkPresent("unlink", { unlinkat(parent.number, name, 0) }) != nil else { return false }
        if case .sidecar = try keeper(request) { try keeper(request).remove(object.descriptor, request) }
        try request.check("fsync") { fsync(parent.number) }
        return true
    }

    /// Removes, from the innermost on, directories that are empty and that nobody marked: keys are all there is to them.
    private func prune(_ names: [ByteString], _ request: Request) throws(StoreError) {
        var names = names
        while let name = names.popLast() {
            let key = names.reduce(ByteString()) { $0 + $1 + "/" } + name + "/"
            let lock = try lock(key, request)
            defer { withExtendedLifetime(lock) {} }
            guard let parent = try directory(names, request),
                let directory = try Self.open(name, in: parent, request),
                try keeper(request).read(directory, request) == nil,
                try Self.removeDirectory(name.cString, in: parent, request)
            else { return }
        }
    }

    /// False if the directory isn't empty or is gone.
    private static func removeDirectory(
        _ name: [CChar], in parent: Descriptor, _ request: Request
    ) throws(StoreError) -> Bool {
        if unlinkat(parent.number, name, AT_REMOVEDIR) != 0 {
            let code = errno
            if [ENOTEMPTY, EEXIST, ENOENT, EBUSY].contains(code) { return false }
            throw request.failure(Errno(code), "rmdir")
        }
        try request.check("fsync") { fsync(parent.number) }
        return true
    }

    /// Unlinks temporary files whose last change is older than `ageMilliseconds`; returns how many.
    func removeLeftovers(olderThanMilliseconds ageMilliseconds: Int64, _ request: Request) throws(StoreError) -> Int {
        guard let directory = try directory([ObjectPath.reserved, "tmp"], request) else { return 0 }
        let limit = clock.next().adding(milliseconds: -ageMilliseconds)
        var removed = 0
        for entry in try DirectoryNames.read(directory, limit: nil, request) ?? [] {
            try request.checkCancelled()
            var status = stat()
            let path = entry.name.cString
            guard fstatat(directory.number, path, &status, AT_SYMLINK_NOFOLLOW) == 0,
                Timestamp(status.st_mtim) < limit, unlinkat(directory.number, path, 0) == 0
            else { continue }
            removed += 1
        }
        return removed
    }
}
