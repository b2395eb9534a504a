import Glibc
import Primitives
import Testing

@Suite struct ErrnoTests {
    @Test func failuresThrow() {
        #expect(throws: Errno(EBADF)) { try Errno.check { close(-1) } }
        #expect(Errno(ENOENT).description == "No such file or directory")
    }

    @Test func interruptionsAreTriedAgain() throws {
        var calls = 0
        let result = try Errno.check { () -> Int in
            calls += 1
            if calls < 3 {
                errno = EINTR
                return -1
            }
            return 42
        }
        #expect(result == 42 && calls == 3)
    }

    @Test func otherNegativeNumbersAreResults() throws {
        #expect(try Errno.check { -2 } == -2)
    }

    @Test func byteRanges() {
        let range = ByteRange(offset: 1 << 40, length: 10)
        #expect(range.length == 10 && range.lowerBound == 1 << 40 && range.upperBound == (1 << 40) + 10)
        #expect(ByteRange(offset: 5, length: 0).isEmpty)
    }
}
