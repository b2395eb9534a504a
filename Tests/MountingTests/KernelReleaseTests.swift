import FuseBridge
import Testing

@Suite struct KernelReleaseTests {
    @Test func isReadFromWhatUnameSays() {
        #expect(KernelRelease("6.1.0-18-amd64") == KernelRelease(6, 1))
        #expect(KernelRelease("5.15") == KernelRelease(5, 15))
        #expect(KernelRelease("6.12-rc3") == KernelRelease(6, 12))
        #expect(KernelRelease("linux") == nil)
        #expect(KernelRelease.current != nil)
    }

    @Test func directoriesAreKeptWhereTheyAreReadRight() {
        for release in [KernelRelease(5, 15), KernelRelease(6, 8), KernelRelease(6, 13), KernelRelease(7, 0)] {
            #expect(release.readsKeptDirectories)
        }
        for release in [KernelRelease(6, 9), KernelRelease(6, 12)] { #expect(!release.readsKeptDirectories) }
    }
}
