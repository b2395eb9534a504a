import Primitives
import Testing

@testable import Tree

/// Requests that are sent again.
@Suite struct RequestTests {
    @Test func aChangeIsKnownByItsRequest() throws {
        let fixture = try Fixture()
        let tree = fixture.tree
        try CurrentRequest.with(42) { _ = try fixture.file("a") }
        #expect(try tree.isDone(request: 42))
        #expect(try !tree.isDone(request: 44))
        _ = try fixture.file("b")
        #expect(CurrentRequest.number == 0)
    }

    @Test func oneThatWasRefusedIsNotDone() throws {
        let fixture = try Fixture()
        let tree = fixture.tree
        _ = try fixture.file("a")
        #expect(throws: TreeError.self) { try CurrentRequest.with(42) { _ = try fixture.file("a") } }
        #expect(try !tree.isDone(request: 42))
    }

    @Test func theLatestAreKnown() throws {
        let fixture = try Fixture()
        let tree = fixture.tree
        try CurrentRequest.with(2) { _ = try fixture.file("a") }
        try CurrentRequest.with(2 + Tree.requestSlots) { _ = try fixture.file("b") }
        #expect(try !tree.isDone(request: 2))
        #expect(try tree.isDone(request: 2 + Tree.requestSlots))
        try tree.forgetRequests()
        #expect(try !tree.isDone(request: 2 + Tree.requestSlots))
    }
}
