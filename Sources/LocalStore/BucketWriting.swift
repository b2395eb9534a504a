import CSystem
import Glibc
import ObjectStore
import Primitives

extension Bucket {
    /// What a new version consists of besides its content.
    struct Description {
        var metadata: Metadata
        var contentType: String?
        var condition: Condition
    }

    func write(
        _ plan: UploadPlan, to key: ByteString, _ description: Description, _ request: Request
    ) throws(StoreError) -> ObjectInfo {
        let path = try writablePath(key, request)
        var base: LocalObject?
        if let wanted = plan.base {
            base = try object(wanted.key, request)
            guard let base, base.etag == wanted.etag else {
                throw request.error(.conditionFailed, "the base is another version")
            }
            if let last = plan.segments.last(where: \.isUnchanged), last.range.upperBound > base.sizeBytes {
                throw request.error(.refused, "the base is shorter than the plan")
            }
        }
        return try write(plan, from: base, to: key, path, description, request)
    }

    func copy(
        _ source: ByteString, etag: ETag?, to destination: ByteString, metadata: Metadata?, contentType: String?,
        condition: Condition, _ request: Request
    ) throws(StoreError) -> ObjectInfo {
        let path = try writablePath(destination, request)
        guard let object = try object(source, request) else { throw request.error(.notFound) }
        if let etag, etag != object.etag { throw request.error(.conditionFailed, "the source is another version") }
        let description = Description(
            metadata: metadata ?? object.info.metadata ?? [:],
            contentType: contentType ?? object.info.contentType, condition: condition)
        if source == destination {
            guard metadata != nil else { throw request.error(.refused, "a copy to itself has to change the metadata") }
            return try rewriteMetadata(of: path, source, etag: etag, description, request)
        }
        let segments: [UploadPlan.Segment] = object.sizeBytes == 0 ? [] : [.unchanged(0..<object.sizeBytes)]
        let plan = UploadPlan(
            segments: segments, base: UploadPlan.Base(key: source, etag: object.etag), source: MemorySource([]))
        return try write(plan, from: object, to: destination, path, description, request)
    }

    private func writablePath(_ key: ByteString, _ request: Request) throws(StoreError) -> ObjectPath {
        do throws(ObjectPath.Refusal) {
            return try ObjectPath(key)
        } catch {
            throw request.error(.refused, error.reason)
        }
    }

    private func write(
        _ plan: UploadPlan, from base: LocalObject?, to key: ByteString, _ path: ObjectPath,
        _ description: Description, _ request: Request
    ) throws(StoreError) -> ObjectInfo {
        let time = clock.next()
        let stored = StoredMetadata(
            setAt: time.nanoseconds, contentType: description.contentType, metadata: description.metadata)
        if path.isMarker {
            guard plan.sizeBytes == 0 else { throw request.error(.refused, "a directory's marker can't hold bytes") }
            return try writeMarker(path, key, stored, description.condition, request)
        }
        let file = try TemporaryFile(in: ownDirectory("tmp", request), request)
        try file.fill(plan, from: base?.descriptor, request)
        if let base { try checkUnedited(base, request) }
        let keeper = try keeper(forWriting: true, request)
        if !stored.metadata.isEmpty || stored.contentType != nil {
            try keeper.write(stored, to: file.descriptor, request)
        } else if case .sidecar = keeper {
            // A crash may have left metadata for the inode's former user.
            try keeper.remove(file.descriptor, request)
        }
        let status: stat
        do throws(StoreError) {
            try file.finish(at: time, request)
            status = try place(file, at: path, key, description.condition, request)
        } catch {
            if !file.isPlaced, case .sidecar = keeper { try? keeper.remove(file.descriptor, request) }
            throw error
        }
        return LocalObject(key: key, descriptor: file.descriptor, status: status, stored: stored, isMarker: false).info
    }

    /// Somebody may have edited the base in place while it was copied.
    private func checkUnedited(_ base: LocalObject, _ request: Request) throws(StoreError) {
        let now = try LocalObject.status(base.descriptor, request)
        if base.isMarker { return }
        if Timestamp(now.st_mtim) != Timestamp(base.status.st_mtim) || now.st_size != base.status.st_size {
            throw request.error(.conditionFailed, "the base changed while it was copied")
        }
    }

    private func place(
        _ file: TemporaryFile, at path: ObjectPath, _ key: ByteString, _ condition: Condition, _ request: Request
    ) throws(StoreError) -> stat {
        for _ in 0..<Self.maximumAttempts {
            try request.checkCancelled()
            let placed = try placeOnce(file, at: path, key, condition, request)
            if let placed {
                try request.check("fsync") { fsync(placed.parent.number) }
                return placed.status
            }
        }
        throw request.error(.unavailable, "the directory was removed again and again")
    }

    /// Returns the parent and the version as it is there, or nil if the parent was removed meanwhile.
    private func placeOnce(
        _ file: TemporaryFile, at path: ObjectPath, _ key: ByteString, _ condition: Condition, _ request: Request
    ) throws(StoreError) -> (parent: Descriptor, status: stat)? {
        let lock = try lock(key, request)
        defer { withExtendedLifetime(lock) {} }
        let old = try object(key, request)
        try check(condition, on: old, request)
        guard let parent = try makeDirectories(path.parents, request) else { return nil }
        if old == nil { try checkFree(path.name, in: parent, request) }
        switch try file.place(in: parent, as: path.name, exclusively: condition == .absent, request) {
        case .done:
            if let old, case .sidecar = try keeper(request) { try keeper(request).remove(old.descriptor, request) }
            return (parent, try LocalObject.status(file.descriptor, request))
        case .parentIsGone: return nil
        case .taken: throw request.error(.conditionFailed)
        }
    }

    func check(_ condition: Condition, on object: LocalObject?, _ request: Request) throws(StoreError) {
        let holds =
            switch condition {
            case .none: true
            case .absent: object == nil
            case .matches(let etag): object?.etag == etag
            }
        if !holds { throw request.error(.conditionFailed) }
    }

    /// What is no object must not be replaced: a directory, a symbolic link, a device.
    private func checkFree(_ name: ByteString, in parent: Descriptor, _ request: Request) throws(StoreError) {
        var status = stat()
        let path = name.cString
        guard fstatat(parent.number, path, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFREG { return }
        let what = status.st_mode & S_IFMT == S_IFDIR ? "a directory" : "something other than a file"
        throw request.error(.refused, "\(what) is there")
    }

    // MARK: Metadata alone

    private func rewriteMetadata(
        of path: ObjectPath, _ key: ByteString, etag: ETag?, _ description: Description, _ request: Request
    ) throws(StoreError) -> ObjectInfo {
        let lock = try lock(key, request)
        defer { withExtendedLifetime(lock) {} }
        guard let object = try object(key, request) else { throw request.error(.notFound) }
        if let etag, etag != object.etag { throw request.error(.conditionFailed, "the source is another version") }
        try check(description.condition, on: object, request)
        let time = clock.next()
        let stored = StoredMetadata(
            setAt: time.nanoseconds, contentType: description.contentType, metadata: description.metadata)
        try keeper(forWriting: true, request).write(stored, to: object.descriptor, request)
        if !path.isMarker {
            let times = [time.timespec, time.timespec]
            try request.check("set times") { futimens(object.descriptor.number, times) }
        }
        try request.check("fsync") { fsync(object.descriptor.number) }
        let status = try LocalObject.status(object.descriptor, request)
        return LocalObject(
            key: key, descriptor: object.descriptor, status: status, stored: stored, isMarker: path.isMarker
        ).info
    }

    private func writeMarker(
        _ path: ObjectPath, _ key: ByteString, _ stored: StoredMetadata, _ condition: Condition, _ request: Request
    ) throws(StoreError) -> ObjectInfo {
        // The lock keeps `prune` from removing the directory between the making and the marking of it.
        let lock = try lock(key, request)
        defer { withExtendedLifetime(lock) {} }
        try check(condition, on: object(key, request), request)
        for _ in 0..<Self.maximumAttempts {
            guard let directory = try makeDirectories(path.parents + [path.name], request) else { continue }
            try keeper(forWriting: true, request).write(stored, to: directory, request)
            try request.check("fsync") { fsync(directory.number) }
            let status = try LocalObject.status(directory, request)
            return LocalObject(key: key, descriptor: directory, status: status, stored: stored, isMarker: true).info
        }
        throw request.error(.unavailable, "the directory was removed again and again")
    }
}

extension UploadPlan.Segment {
    var isUnchanged: Bool {
        if case .unchanged = self { return true }
        return false
    }
}
