import Glibc
import Testing
import Tree

@testable import FileSystem

@Suite struct TakingOverTests {
    @Test func referencesAreDroppedSinglyOrTogether() {
        var count = ReferenceCount(counted: 3)
        let afterOne = count.drop(1)
        let afterAll = count.drop(2)
        #expect(afterOne && !afterAll)
    }

    /// How many the former process gave is unknown: there is at least one as long as the kernel hasn't dropped more
    /// than this one gave.
    @Test func theFormerOnesStay() {
        var count = ReferenceCount(counted: 2, isFormer: true)
        let remain = [count.drop(1), count.drop(1), count.drop(1)]
        #expect(remain == [true, true, false])
    }

    @Test func nodesAreNotedForAnotherProcess() throws {
        let references = try KernelReferences()
        for node: UInt64 in [1, 7, 8, 1_000_000_007] { references[NodeID(node)] = true }
        references[NodeID(7)] = false
        let descriptor = dup(references.descriptor)
        let other = try KernelReferences(of: descriptor)
        let found = [1, 2, 7, 8, 9, 1_000_000_007, 1 << 40].filter { other[NodeID($0)] }
        #expect(found == [1, 8, 1_000_000_007])
    }

    @Test(arguments: [O_RDONLY, O_WRONLY, O_RDWR], [true, false])
    func handlesSayHowTheyWereOpened(_ access: Int32, _ isDirectory: Bool) {
        let id = HandleID(start: 12, count: 0xffff_ffff, access: access, isDirectory: isDirectory)
        #expect(id.start == 12 && id.access == access && id.isDirectory == isDirectory)
        #expect(id != HandleID(start: 12, count: 0xffff_fffe, access: access, isDirectory: isDirectory))
    }
}
