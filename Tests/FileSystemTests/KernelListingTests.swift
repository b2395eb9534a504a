import Primitives
import Testing
import Tree

@testable import FileSystem

/// What the kernel may keep of directories.
@Suite struct KernelListingTests {
    private let directory = NodeID(7)
    private func time(_ milliseconds: Int64) -> Timestamp {
        Timestamp.zero.adding(milliseconds: 100_000 + milliseconds)
    }

    @Test func isReadAgainUntilNamesChangeOrItIsOld() {
        let listings = KernelListings()
        #expect(listings.reading(directory, now: time(0), youth: 500) == .kept)
        #expect(listings.reading(directory, now: time(400), youth: 500) == .known)
        #expect(listings.reading(NodeID(8), now: time(400), youth: 500) == .kept)
        #expect(listings.reading(directory, now: time(500), youth: 500) == .kept)
        listings.changed([NodeID(9)])
        #expect(listings.reading(directory, now: time(600), youth: 500) == .known)
        listings.changed([directory, NodeID(9)])
        #expect(listings.reading(directory, now: time(700), youth: 500) == .kept)
        // A clock that is set back makes nothing older than it is.
        #expect(listings.reading(directory, now: time(0), youth: 500) == .kept)
    }
}
