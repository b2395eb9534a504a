import Glibc

/// The pages of this process.
enum ResidentMemory {
    /// Gives back the pages of program files that are as they are on the disk. Those that are needed again are taken
    /// from the page cache.
    ///
    /// A process that has only started is some megabytes of libraries, most of which a keeper never looks at again.
    static func releaseFilePages() {
        guard let file = fopen("/proc/self/smaps", "re") else { return }
        var mappings: [Mapping] = []
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        while getline(&line, &capacity, file) > 0, let text = line.map({ String(cString: $0) }) {
            if let mapping = Mapping(text) {
                mappings.append(mapping)
            } else if text.hasPrefix("Anonymous:"), !mappings.isEmpty {
                // Relocated tables, although they can't be written any more: not what is in the file.
                mappings[mappings.count - 1].isChanged = !text.hasSuffix(" 0 kB\n")
            }
        }
        free(line)
        fclose(file)
        for mapping in mappings where mapping.isFile && !mapping.isWritable && !mapping.isChanged {
            madvise(UnsafeMutableRawPointer(bitPattern: mapping.begin), Int(mapping.end - mapping.begin), MADV_DONTNEED)
        }
    }

    /// The first line of an entry in /proc/PID/smaps (proc(5)): `begin-end rwxp offset device inode  path`.
    private struct Mapping {
        var begin: UInt
        var end: UInt
        var isWritable: Bool
        var isFile: Bool
        var isChanged = true

        init?(_ line: String) {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            let bounds = words.first?.split(separator: "-") ?? []
            guard words.count >= 5, bounds.count == 2, let begin = UInt(bounds[0], radix: 16),
                let end = UInt(bounds[1], radix: 16)
            else { return nil }
            self.begin = begin
            self.end = end
            isWritable = words[1].contains("w")
            isFile = words.count > 5 && words[5].hasPrefix("/")
        }
    }
}
