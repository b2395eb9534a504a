import CSystem
import Glibc
import Primitives

extension BlockCache {
    func path(of id: UInt64) -> String {
        Self.shardDirectory(contentDirectory, Int(id & 0xff)) + "/" + Self.hexadecimal(id, digits: 1)
    }

    static func shardDirectory(_ content: String, _ index: Int) -> String {
        content + "/" + hexadecimal(UInt64(index), digits: 2)
    }

    /// Where content files lie that nobody could use and nobody may delete.
    static func lostDirectory(_ directory: String) -> String { directory + "/lost+found" }

    static func hexadecimal(_ number: UInt64, digits: Int) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// A content file with all that lies beside it.
    static func unlinkAll(_ path: String) {
        for suffix in ["", ".map", DigestFile.suffix] { unlink(path + suffix) }
    }

    func syncDirectory(of id: UInt64) throws(CacheError) {
        try syncDirectory(contentDirectory + "/" + Self.hexadecimal(id & 0xff, digits: 2))
    }

    func syncDirectory(_ path: String) throws(CacheError) {
        let descriptor = try CacheError.check("open", path) { pail_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) }
        defer { close(descriptor) }
        try CacheError.check("sync", path) { fsync(descriptor) }
    }

    /// The content file at `path` and what its mode and map say; nil if there is none, or it is clean and unusable.
    static func load(_ path: String) throws(CacheError) -> (Int32, FileState)? {
        let descriptor = pail_open(path, O_RDWR | O_CLOEXEC, 0)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw CacheError(.current, "open", path)
        }
        do throws(CacheError) {
            var status = stat()
            try CacheError.check("stat", path) { fstat(descriptor, &status) }
            let isDirty = status.st_mode & CachedFile.dirtyMode != 0
            var state = FileState(
                map: nil, isDirty: isDirty, sizeBytes: Int64(status.st_size),
                allocatedBytes: Int64(status.st_blocks) * 512)
            // Nobody knows what it was before: that differs from anything.
            if status.st_mode & CachedFile.unseenMode != 0 { state.unseen = .unknown }
            guard status.st_mode & CachedFile.partialMode != 0 else { return (descriptor, state) }
            guard let map = try PageMap.load(path + ".map") else {
                if isDirty { throw CacheError(Errno(EIO), "read the page map of", path) }
                close(descriptor)
                unlinkAll(path)
                return nil
            }
            // A cut that was under way when the process died.
            if isDirty && map.originBytes > state.sizeBytes { map.originBytes = state.sizeBytes }
            state.map = map
            return (descriptor, state)
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// A file of `originBytes` of which nothing is here. Its map comes first: without one it would count as whole. Small
    /// files come by one request and are whole then: their map stays in memory unless they are changed before, and if the
    /// process dies, nothing was here.
    static func makeSparse(_ path: String, _ originBytes: Int64) throws(CacheError) -> (Int32, FileState) {
        var map: PageMap?
        if originBytes > 0 {
            if originBytes < CachedFile.mapThresholdBytes {
                map = try PageMap.volatile(path + ".map", originBytes: originBytes)
            } else {
                map = try PageMap.create(path + ".map", originBytes: originBytes, flags: 0)
                try map?.install()
            }
        }
        let descriptor = try CacheError.check("create", path) {
            pail_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, UInt32(CachedFile.plainMode))
        }
        do throws(CacheError) {
            let mode = CachedFile.plainMode | (map == nil ? 0 : CachedFile.partialMode)
            try CacheError.check("change mode", path) { fchmod(descriptor, mode) }
            try CacheError.check("extend", path) { ftruncate(descriptor, off_t(originBytes)) }
        } catch {
            close(descriptor)
            unlink(path)
            throw error
        }
        var state = FileState(map: map, isDirty: false, sizeBytes: originBytes, allocatedBytes: 0)
        state.mayBeDirtyOnDisk = false
        return (descriptor, state)
    }

    /// Finds all contents, once, before anything else is called. With `trustClean` false (the machine, not only the
    /// process, went down) what is clean is dropped where it can be fetched again: it may never have reached the disk.
    public func startScan(trustClean: Bool) throws(CacheError) -> StartScan {
        var scan = StartScan()
        for index in 0..<Self.shardCount {
            let directory = Self.shardDirectory(contentDirectory, index)
            let names = try Self.names(in: directory)
            let present = Set(names)
            for name in names {
                let isBeside = name.hasSuffix(".map") || name.hasSuffix(DigestFile.suffix)
                if name.hasSuffix(".new") || isBeside && !present.contains(String(name.dropLast(4))) {
                    unlink(directory + "/" + name)
                } else if let id = UInt64(name, radix: 16) {
                    let hasMap = present.contains(name + ".map")
                    try scanFile(id, directory + "/" + name, hasMap: hasMap, trustClean: trustClean, into: &scan)
                }
            }
        }
        return scan
    }

    private func scanFile(
        _ id: UInt64, _ path: String, hasMap: Bool, trustClean: Bool, into scan: inout StartScan
    ) throws(CacheError) {
        scan.highest = max(scan.highest, id)
        var status = stat()
        try CacheError.check("stat", path) { lstat(path, &status) }
        let isDirty = status.st_mode & CachedFile.dirtyMode != 0
        let isPartial = status.st_mode & CachedFile.partialMode != 0
        let isUnseen = status.st_mode & CachedFile.unseenMode != 0
        // They may tell of a version before that in the bucket.
        if !trustClean { unlink(path + DigestFile.suffix) }
        let isUsable = trustClean && (hasMap || !isPartial)
        if !isDirty && !isUnseen && !isUsable { return Self.unlinkAll(path) }
        var dirtyBytes = isDirty ? Int64(status.st_blocks) * 512 : 0
        if isDirty && isPartial {
            guard let map = try PageMap.load(path + ".map") else { return try setAside(id, path, &scan) }
            let size = Int64(status.st_size)
            if map.originBytes > size { map.originBytes = size }
            if !trustClean {
                map.forgetClean()
                try Self.punchMissing(path, map, modified: status.st_mtim)
            }
            dirtyBytes = min(dirtyBytes, Int64(map.dirtyPages) * PageMap.pageBytes + size - map.originBytes)
        }
        let record = Record(
            allocatedBytes: Int64(status.st_blocks) * 512, dirtyBytes: dirtyBytes,
            lastUseMilliseconds: Timestamp(status.st_atim).nanoseconds / 1_000_000, isWhole: !isPartial)
        shard(of: id).withLock { $0.records[id] = record }
        count(bytes: record.allocatedBytes, dirty: dirtyBytes)
        if isUnseen { foundUnseen.withLock { $0.append(id) } }
        scan.files.append(
            StartScan.Found(
                id: id, sizeBytes: Int64(status.st_size), modified: Timestamp(status.st_mtim), isDirty: isDirty,
                isPartial: isPartial, isUnseen: isUnseen))
    }

    /// Makes holes of what is missing: what is there from an earlier time could be taken for content after another power
    /// loss, when a page is marked and its bytes are not on the disk.
    private static func punchMissing(_ path: String, _ map: PageMap, modified: timespec) throws(CacheError) {
        let descriptor = try CacheError.check("open", path) { pail_open(path, O_RDWR | O_CLOEXEC, 0) }
        defer { close(descriptor) }
        for range in map.missing(in: 0..<map.originBytes) {
            let mode = CachedFile.punchHole | CachedFile.keepSize
            try CacheError.check("punch", path) { pail_fallocate(descriptor, mode, range.lowerBound, range.length) }
        }
        try CacheError.check("set times", path) {
            futimens(descriptor, [timespec(tv_sec: 0, tv_nsec: CachedFile.omitTime), modified])
        }
        try CacheError.check("sync", path) { fsync(descriptor) }
    }

    /// Local changes whose page map is lost: kept for a person to look at.
    private func setAside(_ id: UInt64, _ path: String, _ scan: inout StartScan) throws(CacheError) {
        let name = try moveToLost(id, path)
        log.error("cache", "the page map of node \(id) can't be read; its content is kept as \(name)")
        scan.lost.append(id)
    }

    /// Takes a file that is not in use out of the cache without deleting it. Returns where it lies then.
    public func setAside(_ id: UInt64) throws(CacheError) -> String {
        let name = try moveToLost(id, path(of: id))
        if let record = shard(of: id).withLock({ $0.records.removeValue(forKey: id) }) {
            count(bytes: -record.allocatedBytes, dirty: -record.dirtyBytes)
        }
        return name
    }

    /// Keeps the content of a file, as it is, beyond the file's removal. Returns where it lies; undone by `unlinkAside`.
    public func linkAside(_ id: UInt64) throws(CacheError) -> String {
        let path = path(of: id)
        let name = try newLostName(id) { name in link(path, name) }
        link(path + ".map", name + ".map")
        try syncDirectory(Self.lostDirectory(settings.directory))
        return name
    }

    public func unlinkAside(_ name: String) {
        unlink(name)
        unlink(name + ".map")
    }

    private func moveToLost(_ id: UInt64, _ path: String) throws(CacheError) -> String {
        let name = try newLostName(id) { name in pail_renameat2(AT_FDCWD, path, AT_FDCWD, name, pailNoReplace) }
        rename(path + ".map", name + ".map")
        try syncDirectory(Self.lostDirectory(settings.directory))
        return name
    }

    /// The first name for the file in `lost+found` under which `place` can put it: what was kept before stays.
    private func newLostName(_ id: UInt64, _ place: (String) -> Int32) throws(CacheError) -> String {
        let directory = Self.lostDirectory(settings.directory)
        mkdir(directory, 0o700)
        var name = directory + "/" + Self.hexadecimal(id, digits: 1)
        var number = 1
        while place(name) != 0 {
            guard errno == EEXIST, number < 1000 else { throw CacheError(.current, "set aside", path(of: id)) }
            number += 1
            name = directory + "/" + Self.hexadecimal(id, digits: 1) + "-\(number)"
        }
        return name
    }

    static func names(in directory: String) throws(CacheError) -> [String] {
        guard let stream = opendir(directory) else { throw CacheError(.current, "list", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}

/// RENAME_NOREPLACE (renameat2(2)), which <stdio.h> shows under _GNU_SOURCE only.
private let pailNoReplace: UInt32 = 1

extension PageMap {
    /// Clean pages are missing again.
    func forgetClean() {
        for page in 0..<originPages where flags(page) == Self.present { set(page, 0) }
    }
}
