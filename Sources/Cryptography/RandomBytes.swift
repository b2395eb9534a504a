import Glibc

/// Bytes nobody can guess, from the kernel (getentropy(3), which is getrandom(2) in full).
public enum RandomBytes {
    /// The most that getentropy gives at once.
    private static let chunkBytes = 256

    public static func make(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let chunk = min(chunkBytes, count - filled)
                precondition(getentropy(buffer.baseAddress! + filled, chunk) == 0, "the kernel has no random bytes")
                filled += chunk
            }
        }
    }
}
