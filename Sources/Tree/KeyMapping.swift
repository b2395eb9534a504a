import Primitives

/// How parts of keys become file names. Most parts are names as they are; those that no path can show get an escape
/// that begins with ␛ (U+241B SYMBOL FOR ESCAPE). The tree keeps the part beside an escaped name, so nothing has to be
/// decoded, and a name that merely looks like an escape is just a name. docs/KEYS.md has the table.
public enum KeyMapping {
    public static let escape: ByteString = "␛"
    /// The longest name that Linux shows (NAME_MAX).
    public static let maximumNameBytes = 255
    /// Beside a directory of the same name, a file is shown with this behind its name.
    public static let fileBesideDirectory: ByteString = "␛f"

    /// The name under which a part of a key (without `/`) is shown.
    public static func shownName(_ component: ByteString) -> ByteString {
        switch component {
        case "": return escape + "e"
        case ".": return escape + "."
        case "..": return escape + ".."
        default: break
        }
        var name = component
        if name.bytes.contains(0) {
            name = ByteString(bytes: name.bytes.flatMap { $0 == 0 ? (escape + "0").bytes : [$0] })
        }
        return name.count > maximumNameBytes ? shortened(name) : name
    }

    /// Whether a lookup of this name can only be answered by listing the directory.
    public static func isEscaped(_ name: ByteString) -> Bool {
        let mark = escape.bytes
        guard name.count >= mark.count else { return false }
        return (0...(name.count - mark.count)).contains { Array(name.bytes[$0..<($0 + mark.count)]) == mark }
    }

    /// The beginning of a name that is too long, cut between characters, and a hash of all of it.
    private static func shortened(_ name: ByteString) -> ByteString {
        var end = 200
        while end > 0, name.bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return ByteString(bytes: name.bytes[0..<end]) + escape + "h" + ByteString(name.fnv1aHexadecimal)
    }
}
