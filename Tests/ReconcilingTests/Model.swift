/// What the mount must hold after the operations so far.
struct Model {
    /// Numbers of files by path; hard links share one.
    var files: [String: Int] = [:]
    var contents: [Int: String] = [:]
    var symlinks: [String: String] = [:]
    var directories: Set<String> = []
    private var lastFile = 0

    func exists(_ path: String) -> Bool {
        files[path] != nil || symlinks[path] != nil || directories.contains(path)
    }

    func isEmpty(_ directory: String) -> Bool {
        let prefix = directory + "/"
        return !(Array(files.keys) + Array(symlinks.keys) + Array(directories)).contains { $0.hasPrefix(prefix) }
    }

    /// All paths that are there, in a fixed order.
    var paths: [String] { (Array(files.keys) + Array(symlinks.keys) + Array(directories)).sorted() }

    mutating func make(_ path: String, _ content: String) {
        lastFile += 1
        files[path] = lastFile
        contents[lastFile] = content
    }

    mutating func write(_ path: String, _ content: String) {
        if let number = files[path] { contents[number] = content }
    }

    mutating func remove(_ path: String) {
        files[path] = nil
        symlinks[path] = nil
        directories.remove(path)
    }

    mutating func rename(_ path: String, to new: String) {
        if let number = files[path], files[new] == number { return }
        remove(new)
        move { Self.moved($0, path, new) }
    }

    mutating func exchange(_ path: String, with other: String) {
        move { Self.moved($0, path, other) ?? Self.moved($0, other, path) }
    }

    private static func moved(_ place: String, _ path: String, _ new: String) -> String? {
        if place == path { return new }
        return place.hasPrefix(path + "/") ? new + place.dropFirst(path.count) : nil
    }

    private mutating func move(_ new: (String) -> String?) {
        files = Dictionary(uniqueKeysWithValues: files.map { (new($0.key) ?? $0.key, $0.value) })
        symlinks = Dictionary(uniqueKeysWithValues: symlinks.map { (new($0.key) ?? $0.key, $0.value) })
        directories = Set(directories.map { new($0) ?? $0 })
    }

    /// What the bucket must hold, without the markers of directories.
    var objects: [String: String] {
        files.mapValues { contents[$0] ?? "?" }.merging(symlinks) { file, _ in file }
    }
}
