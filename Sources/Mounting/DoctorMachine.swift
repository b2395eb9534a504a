import CSystem
import Configuration
import Glibc
import Primitives

/// What a mount needs of the machine.
extension Doctor {
    func machine() -> [Finding] {
        var findings = [device()]
        if geteuid() != 0 {
            findings.append(helper())
            if configuration.allowOther { findings.append(otherUsers()) }
        }
        return findings + cache()
    }

    private func device() -> Finding {
        guard let fault = FuseDevice.fault() else { return Finding(.ok, "fuse", "/dev/fuse can be opened") }
        return Finding(.fail, "fuse", fault.what, remedy: fault.remedy)
    }

    private func helper() -> Finding {
        let places = (ProcessEnvironment.value("PATH") ?? "/usr/bin:/bin").split(separator: ":")
        for place in places {
            var status = stat()
            let path = "\(place)/fusermount3"
            guard stat(path, &status) == 0 else { continue }
            if status.st_uid == 0, status.st_mode & S_ISUID != 0 {
                return Finding(.ok, "fusermount3", "\(path) lets you mount")
            }
            return Finding(
                .fail, "fusermount3", "\(path) is not set-user-id root, so only root can mount",
                remedy: "run as root: chown root \(path) && chmod 4755 \(path)")
        }
        return Finding(.fail, "fusermount3", "is not in PATH", remedy: "install the package fuse3")
    }

    private func otherUsers() -> Finding {
        let lines = (SmallFile.read("/etc/fuse.conf") ?? "").split(separator: "\n")
        if lines.contains(where: { $0.split(separator: "#", omittingEmptySubsequences: false)[0] == "user_allow_other" }
        ) {
            return Finding(.ok, "allow_other", "/etc/fuse.conf allows it")
        }
        return Finding(
            .fail, "allow_other", "/etc/fuse.conf doesn't allow ordinary users to let others in",
            remedy: "add the line user_allow_other to it as root")
    }

    private func cache() -> [Finding] {
        let directory = CacheDirectory(for: configuration)
        do throws(MountFailure) {
            try directory.prepare()
        } catch {
            return [Finding(.fail, "cache", error.message)]
        }
        let free = directory.freeBytes()
        let shown = Quantity.describe(bytes: free)
        var findings: [Finding] = []
        let wanted = configuration.cache.reserveBytes + (1 << 30)
        if free < 64 << 20 {
            findings.append(
                Finding(.fail, "cache", "\(directory.path): \(shown) free", remedy: "free some space, or --cache-dir"))
        } else if free < wanted {
            findings.append(
                Finding(
                    .warn, "cache",
                    "\(directory.path): \(shown) free, little above the reserve of "
                        + Quantity.describe(bytes: configuration.cache.reserveBytes),
                    remedy: "free some space, or lower --cache-reserve"))
        } else {
            findings.append(Finding(.ok, "cache", "\(directory.path) is writable and private, \(shown) free"))
        }
        if CacheLock.isHeld(directory) {
            findings.append(
                Finding(
                    .warn, "cache", "in use by \(CacheLock.holder(directory))",
                    remedy: "that mount has to be unmounted before this bucket can be mounted again"))
        }
        return findings
    }
}

/// The kernel's door for file systems that are programs.
enum FuseDevice {
    /// Why this user can't open it, and what to do; nil if nothing is wrong.
    static func fault() -> (what: String, remedy: String)? {
        let descriptor = pail_open("/dev/fuse", O_RDWR | O_CLOEXEC, 0)
        guard descriptor < 0 else {
            close(descriptor)
            return nil
        }
        let error = Errno.current
        let remedy =
            switch error.code {
            case ENOENT, ENODEV, ENXIO: "run modprobe fuse; in a container: --device /dev/fuse --cap-add SYS_ADMIN"
            case EPERM: "allow the device to the container: --device /dev/fuse --cap-add SYS_ADMIN"
            default: "make it accessible, as root: chmod 666 /dev/fuse"
            }
        return ("/dev/fuse: \(error)", remedy)
    }
}
