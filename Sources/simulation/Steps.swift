import Glibc
import Primitives

/// From a step of the plan to operations: which, is drawn with a look at what there is.
extension Run {
    private static let names = ["a", "b", "c", "d", "e"]
    private static let deepest = 3

    func take(_ action: Plan.Action, using generator: inout SeededGenerator) throws {
        switch action {
        case .wait: try wait(milliseconds: [1, 30, 400, 3_000, 20_000].randomElement(using: &generator)!)
        case .die: try die(using: &generator)
        case .restart: try restartInOrder()
        case .drain:
            try drain()
        case .putByOther, .writeShared, .readShared, .removeShared: try takeShared(action, using: &generator)
        default:
            let operations = operations(for: action, using: &generator)
            guard !operations.isEmpty else { return }
            try perform(Procedure(operations), mayPark: Bool.random(using: &generator))
        }
    }

    /// Death comes at some call that is still to come, or, if that one never comes, when the next death is due.
    private func die(using generator: inout SeededGenerator) throws {
        plan(plan.conditions.losesPower && Int.random(in: 0..<3, using: &generator) > 0 ? .powerLoss : .kill)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: try dieNow()
        case 1, 2: world.dieAfter(storePoints: Int.random(in: 1...25, using: &generator))
        default: world.dieAfter(diskPoints: Int.random(in: 1...80, using: &generator))
        }
    }

    private func takeShared(_ action: Plan.Action, using generator: inout SeededGenerator) throws {
        let name = SharedFiles.names.randomElement(using: &generator)!
        switch action {
        case .putByOther:
            if Int.random(in: 0..<5, using: &generator) == 0 {
                world.bucket.remove(ByteString(name))
            } else {
                world.witness.putByOther(ByteString(name), someBytes(using: &generator))
            }
            world.trace("  somebody else: \(name)")
        case .writeShared: try writeShared(name, someBytes(using: &generator))
        case .readShared: try readShared(name)
        default: try removeShared(name)
        }
    }

    private func operations(for action: Plan.Action, using generator: inout SeededGenerator) -> [Operation] {
        let path = somePath(using: &generator)
        let file = reference.files.randomElement(using: &generator)
        let directory = reference.directories.randomElement(using: &generator)
        let slot = reference.slots.keys.sorted().randomElement(using: &generator)
        let sync = Int.random(in: 0..<3, using: &generator) == 0
        switch action {
        case .writeWhole: return write(path, at: 0, truncating: true, sync, using: &generator)
        case .writePart:
            guard let file else { return [] }
            return write(
                file, at: Int.random(in: 0...80_000, using: &generator), truncating: false, sync, using: &generator)
        case .openHandle:
            nextSlot += 1
            return [.open(slot: nextSlot, path: file ?? path, truncating: false)]
        case .writeHandle:
            let offset = Int.random(in: 0...80_000, using: &generator)
            return slot.map { [.write(slot: $0, offset: offset, bytes: someBytes(using: &generator))] } ?? []
        case .readHandle: return slot.map { [.read(slot: $0)] } ?? []
        case .syncHandle: return slot.map { [.sync(slot: $0)] } ?? []
        case .closeHandle: return slot.map { [.close(slot: $0)] } ?? []
        case .resize:
            let bytes = [0, 10, 5_000, 30_000, 100_000].randomElement(using: &generator)!
            return file.map { [.resize(path: $0, bytes: bytes)] } ?? []
        case .makeDirectory: return [.makeDirectory(path: path)]
        case .symlink: return [.symlink(path: path, target: "to/\(path)")]
        case .rename:
            let source = Bool.random(using: &generator) ? file : directory
            return source.map { [.rename(path: $0, new: path)] } ?? []
        case .exchange:
            let other = reference.entries.keys.sorted().randomElement(using: &generator)
            return other.map { [.exchange(path: file ?? path, other: $0)] } ?? []
        case .remove: return [.unlink(path: file ?? path)]
        case .removeDirectory: return directory.map { [.removeDirectory(path: $0)] } ?? []
        case .link: return file.map { [.link(path: $0, new: path)] } ?? []
        case .changeMode:
            let mode = UInt32.random(in: 0...0o777, using: &generator)
            return file.map { [.changeMode(path: $0, mode: mode)] } ?? []
        case .syncDirectory: return [.syncDirectory(path: directory ?? "")]
        default: return []
        }
    }

    private func write(
        _ path: String, at offset: Int, truncating: Bool, _ sync: Bool, using generator: inout SeededGenerator
    ) -> [Operation] {
        nextSlot += 1
        let slot = nextSlot
        let bytes = someBytes(using: &generator)
        return [.open(slot: slot, path: path, truncating: truncating)]
            + (bytes.isEmpty ? [] : [.write(slot: slot, offset: offset, bytes: bytes)])
            + (sync ? [.sync(slot: slot)] : []) + [.close(slot: slot)]
    }

    private func somePath(using generator: inout SeededGenerator) -> String {
        let parents = [""] + reference.directories.filter { $0.split(separator: "/").count < Self.deepest }
        let parent = parents.randomElement(using: &generator)!
        let name = Self.names.randomElement(using: &generator)!
        return parent.isEmpty ? name : "\(parent)/\(name)"
    }

    /// Bytes that tell which write they are of and where in it they stood.
    func someBytes(using generator: inout SeededGenerator) -> [UInt8] {
        let large = plan.conditions.cacheBytes > 1 << 30 && Int.random(in: 0..<60, using: &generator) == 0
        let count = large ? 1_200_000 : [0, 1, 100, 5_000, 20_000, 70_000].randomElement(using: &generator)!
        nextToken += 1
        var bytes = [UInt8](repeating: 0, count: count)
        let token = nextToken
        bytes.withUnsafeMutableBytes { buffer in
            for lower in stride(from: 0, to: count, by: 4) {
                let word = (token &* 0x9E37_79B1) ^ UInt32(lower >> 9) | 0x0101_0101
                withUnsafeBytes(of: word) { word in
                    for index in 0..<min(4, count - lower) { buffer[lower + index] = word[index] }
                }
            }
        }
        return bytes
    }
}
