import MemoryStore
import Primitives
import Testing

@testable import FileSystem

/// What reading costs.
@Suite(.timeLimit(.minutes(1))) struct FetchingTests {
    @Test func aSmallFileIsOneRequestHoweverItIsRead() async throws {
        let rig = try Rig()
        let bytes = (0..<900_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }
        rig.bucket.put("small", bytes)
        let id = try await rig.node("small")
        let handle = try await rig.run { fs throws(Failure) in try fs.open(id, flags: 0, rig.caller).handle }
        rig.faulty.clearCalls()
        for offset in [500_000, 0, 899_000, 123_456] {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_000, alignment: 16)
            defer { buffer.deallocate() }
            let count = try await rig.run { fs throws(Failure) in
                try fs.read(handle, offset: Int64(offset), into: buffer)
            }
            #expect(Array(buffer[..<count]) == Array(bytes[offset..<offset + 1_000]))
        }
        #expect(rig.faulty.calls.map(\.operation) == [.read])
        try await rig.run { fs throws(Failure) in try fs.release(handle) }
    }

    @Test func aCutBodyIsAskedForAgainAndNothingWrongIsKept() async throws {
        let rig = try Rig()
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        rig.bucket.put("large", bytes)
        let id = try await rig.node("large")
        let handle = try await rig.run { fs throws(Failure) in try fs.open(id, flags: 0, rig.caller).handle }
        rig.faulty.inject(.truncateBody, on: .read, times: 2)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        for offset in stride(from: 0, to: bytes.count, by: 1 << 20) {
            let count = try await rig.run { fs throws(Failure) in
                try fs.read(handle, offset: Int64(offset), into: buffer)
            }
            #expect(buffer[..<count].elementsEqual(bytes[offset..<min(bytes.count, offset + (1 << 20))]))
        }
        try await rig.run { fs throws(Failure) in try fs.release(handle) }
    }
}
