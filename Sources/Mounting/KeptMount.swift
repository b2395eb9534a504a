import FileSystem
import FuseBridge
import Glibc

/// What a daemon leaves with its keeper, so that the next one can go on with the same mount: all that the kernel knows
/// of it, and what says that the cache directory and the place are taken.
struct KeptMount: Sendable {
    var session: FormerSession
    /// The nodes that the kernel knows, see `KernelReferences`.
    var references: Int32
    var cacheDirectory: String
    var cacheID: String
    /// The locks: open files, so that they are held as long as the keeper or a daemon lives.
    var lock: Int32
    var registration: Int32
    var registrationPath: String

    var parcel: Parcel {
        let text = """
            mountPoint \(LineText.escape(session.mountPoint))
            cache \(LineText.escape(cacheDirectory))
            cacheID \(cacheID)
            registration \(LineText.escape(registrationPath))
            passthrough \(session.passesThrough ? 1 : 0)
            offer \(session.offer.map(String.init).joined(separator: ","))
            """
        return Parcel(text: text, descriptors: [session.device, references, lock, registration])
    }
}

extension KeptMount {
    /// nil for a parcel that holds no mount.
    init?(_ parcel: Parcel) {
        guard parcel.descriptors.count == 4, let mountPoint = Self.mountPoint(parcel.text),
            let cache = SmallFile.field("cache", in: parcel.text),
            let id = SmallFile.field("cacheID", in: parcel.text),
            let path = SmallFile.field("registration", in: parcel.text),
            let offer = SmallFile.field("offer", in: parcel.text)
        else { return nil }
        session = FormerSession(
            device: parcel.descriptors[0], offer: offer.split(separator: ",").compactMap { UInt8($0) },
            mountPoint: mountPoint, passesThrough: SmallFile.field("passthrough", in: parcel.text) == "1")
        references = parcel.descriptors[1]
        lock = parcel.descriptors[2]
        registration = parcel.descriptors[3]
        cacheDirectory = cache
        cacheID = id
        registrationPath = path
    }

    static func mountPoint(_ text: String) -> String? { SmallFile.field("mountPoint", in: text) }
}

/// How a daemon was started.
struct Beginning: Sendable {
    /// Who keeps the mount for the next daemon; nil: nobody.
    var keeper: KeeperChannel?
    /// Its log is a file.
    var isInBackground = false
    /// How often a daemon of this mount has died before.
    var restarts = 0
    /// What the former daemon has left; nil: a mount is to be made.
    var kept: KeptMount?

    /// What the keeper says to a daemon first.
    static func greeting(isInBackground: Bool, restarts: Int, kept: Parcel?) -> Parcel {
        Parcel(
            text: "restarts \(restarts)\nbackground \(isInBackground ? 1 : 0)\n\(kept?.text ?? "")",
            descriptors: kept?.descriptors ?? [])
    }

    /// As the keeper of this process has said, if it has one.
    static func ofThisProcess() -> Beginning {
        guard let keeper = KeeperChannel.inherited() else { return Beginning() }
        var beginning = Beginning(keeper: keeper)
        guard let parcel = keeper.receive() else { return beginning }
        beginning.isInBackground = SmallFile.field("background", in: parcel.text) == "1"
        beginning.restarts = SmallFile.field("restarts", in: parcel.text).flatMap { Int($0) } ?? 0
        beginning.kept = KeptMount(parcel)
        return beginning
    }

    /// 0 if there is none.
    var keeperProcess: Int32 { keeper == nil ? 0 : getppid() }
    /// Whom to end if nothing else helps.
    var supervisor: Int32 { keeper == nil ? getpid() : getppid() }
}
