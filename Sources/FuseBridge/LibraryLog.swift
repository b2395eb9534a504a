import CFuse
import Glibc
import Primitives
import Telemetry

/// libfuse's own messages, which it has one function for in a process.
enum LibraryLog {
    private static let target = Lock(Log.silent)

    /// From now on libfuse's messages go to `log`.
    static func use(_ log: Log) {
        target.withLock { $0 = log }
        fuse_set_log_func { level, format, arguments in
            guard let format, let arguments else { return }
            var text = [CChar](repeating: 0, count: 512)
            vsnprintf(&text, text.count, format, arguments)
            let message = String(
                decoding: text.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            let log = LibraryLog.target.withLock { $0 }
            if level.rawValue <= FUSE_LOG_ERR.rawValue {
                log.warning("libfuse", message)
            } else {
                log.debug("libfuse", message)
            }
        }
    }
}
