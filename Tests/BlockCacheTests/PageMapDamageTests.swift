import Foundation
import Primitives
import Testing

@testable import BlockCache

/// Page maps whose bytes were changed or cut off: either they say what they said, or they are not taken for maps.
@Suite struct PageMapDamageTests {
    private static let size: Int64 = 300 * 4096 - 100
    private static let headerBytes = 4096

    /// A map with every kind of page in it, as a killed process leaves it.
    private func make(in fixture: CacheFixture) throws -> (path: String, bytes: [UInt8], flags: [UInt8]) {
        let path = fixture.directory + "/test.map"
        let map = try PageMap.create(path, originBytes: Self.size, flags: 0)
        for page in 0..<300 { map.set(page, UInt8(page % 5 == 0 ? 0 : page % 2 == 0 ? 1 : 3)) }
        try map.install()
        return (path, [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))), map.snapshot)
    }

    private func load(_ bytes: [UInt8], _ path: String) throws -> PageMap? {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return try PageMap.load(path)
    }

    @Test func eachFlippedBitIsNoticedOrChangesNothing() throws {
        let fixture = try CacheFixture()
        let (path, bytes, flags) = try make(in: fixture)
        #expect(try load(bytes, path)?.snapshot == flags)
        let masks: [UInt8] = [1, 2, 4, 8, 16, 32, 64, 128, 255]
        var refused = 0
        for offset in [Int](0..<64) + [Int](Self.headerBytes..<bytes.count) {
            for mask in masks {
                var damaged = bytes
                damaged[offset] ^= mask
                if let map = try load(damaged, path) {
                    #expect(map.snapshot == flags && map.originBytes == Self.size, "byte \(offset), mask \(mask)")
                } else {
                    refused += 1
                }
            }
        }
        // All that is used: 36 bytes of the header, and each page.
        #expect(refused == (36 + 300) * masks.count)
    }

    @Test func anotherLengthIsNoticed() throws {
        let fixture = try CacheFixture()
        let (path, bytes, _) = try make(in: fixture)
        for length in [0, 1, 35, 36, 4095, 4096, 4097, bytes.count - 1] {
            #expect(try load(Array(bytes[..<length]), path) == nil, "\(length) bytes")
        }
        #expect(try load(bytes + [0xF0], path) == nil)
    }

    /// A changed part of a large file, then damage to its map.
    private func changedFile(_ fixture: CacheFixture, _ id: UInt64) throws {
        let file = try fixture.cache.open(id, originBytes: Self.size)
        try file.land(pattern(Int(Self.size)), at: 0)
        #expect(try file.writeAll(pattern(5000, seed: 2), at: 10_000) == .written)
    }

    @Test func aChangedFileWithoutAMapIsKeptApart() throws {
        let fixture = try CacheFixture()
        for round in 1...2 {
            try changedFile(fixture, 7)
            let content = try Data(contentsOf: URL(fileURLWithPath: fixture.path(7)))
            let map = try FileHandle(forUpdating: URL(fileURLWithPath: fixture.path(7) + ".map"))
            try map.seek(toOffset: 5000)
            try map.write(contentsOf: [round == 1 ? 0 : 0xFF])
            try map.close()
            #expect(try fixture.restart().lost == [7])
            var kept: [ContentFile] = []
            ContentFile.forEachLost(in: fixture.directory) { kept.append($0) }
            // What was kept before is not overwritten.
            #expect(kept.count == round && kept.allSatisfy { $0.id == 7 && $0.isDirty })
            for file in kept { #expect(try Data(contentsOf: URL(fileURLWithPath: file.path)) == content) }
            #expect(try kept.allSatisfy { if case .unmapped = try $0.extent() { true } else { false } })
        }
    }

    @Test func aCleanFileWithoutAMapIsFetchedAgain() throws {
        let fixture = try CacheFixture()
        let file = try fixture.cache.open(7, originBytes: Self.size)
        try file.land(pattern(8192), at: 0)
        try Data(count: 100).write(to: URL(fileURLWithPath: fixture.path(7) + ".map"))
        #expect(try fixture.restart().lost.isEmpty)
        let again = try fixture.cache.open(7, originBytes: Self.size)
        #expect(again.missing(in: 0..<Self.size) == [0..<Self.size])
    }

    @Test func extentsAreThoseOfTheMap() throws {
        let fixture = try CacheFixture()
        let file = try fixture.cache.open(9, originBytes: Self.size)
        #expect(try file.writeAll(pattern(8192), at: 4096) == .written)
        let found = try #require(ContentFile(id: 9, path: fixture.path(9)))
        #expect(try found.extent() == .partial(missing: [0..<4096, 12_288..<Self.size]))
        let copy = fixture.directory + "/copy"
        let descriptor = open(copy, O_RDWR | O_CREAT, 0o600)
        defer { close(descriptor) }
        try found.copy(to: descriptor)
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: copy)))
        #expect(bytes.count == Int(Self.size) && same(Array(bytes[4096..<12_288]), pattern(8192)))
    }
}
