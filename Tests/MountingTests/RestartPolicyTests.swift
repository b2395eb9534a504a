import Testing

@testable import Mounting

@Suite struct RestartPolicyTests {
    @Test func aDaemonThatServesIsStartedAgainForEver() {
        var policy = RestartPolicy()
        for _ in 0..<1_000 { #expect(policy.delayMilliseconds(afterServing: 1_000) == 0) }
        #expect(policy.restarts == 1_000)
    }

    @Test func oneThatDiesAtOnceIsGivenUp() {
        var policy = RestartPolicy()
        var delays: [Int64] = []
        while let delay = policy.delayMilliseconds(afterServing: 10) { delays.append(delay) }
        #expect(delays.count == RestartPolicy.maximumUseless)
        #expect(delays.prefix(5) == [0, 0, 50, 100, 200])
        #expect(delays.last == 5_000 && delays == delays.sorted())
        // All in all it had about a minute, for a disk that is full, say.
        #expect(delays.reduce(0, +) > 50_000)
    }

    @Test func serviceWipesTheSlateClean() {
        var policy = RestartPolicy()
        for _ in 0..<RestartPolicy.maximumUseless { _ = policy.delayMilliseconds(afterServing: 0) }
        #expect(policy.delayMilliseconds(afterServing: 1_000) == 0)
        #expect(policy.delayMilliseconds(afterServing: 0) == 0)
    }
}

@Suite struct KeptMountTests {
    @Test func comesBackAsItWas() throws {
        let kept = KeptMount(
            session: .init(device: 5, offer: Array(0...255), mountPoint: "/a b/\nc%", passesThrough: true),
            references: 6,
            cacheDirectory: "/cache\n", cacheID: "0123", lock: 7, registration: 8, registrationPath: "/run/x")
        let back = try #require(KeptMount(kept.parcel))
        #expect(back.session.mountPoint == "/a b/\nc%" && back.session.offer == Array(0...255))
        #expect(back.session.passesThrough)
        #expect(back.cacheDirectory == "/cache\n" && back.cacheID == "0123" && back.registrationPath == "/run/x")
        #expect([back.session.device, back.references, back.lock, back.registration] == [5, 6, 7, 8])
    }

    @Test func anythingElseIsNoMount() {
        #expect(KeptMount(Parcel()) == nil)
        #expect(KeptMount(Parcel(text: "mountPoint /a", descriptors: [1, 2, 3, 4])) == nil)
    }

    @Test func goesThroughTheChannelWithItsFiles() throws {
        let (near, far) = try #require(KeeperChannel.pair())
        let (file, other) = try #require(KeeperChannel.pair())
        #expect(near.send(Parcel(text: "x 1\ny 2", descriptors: [file.descriptor])))
        let received = try #require(far.receive())
        #expect(received.text == "x 1\ny 2" && received.descriptors.count == 1)
        #expect(received.descriptors != [file.descriptor])
        #expect(KeeperChannel(descriptor: received.descriptors[0]).send(Parcel(text: "through")))
        #expect(other.receive()?.text == "through")
        near.close()
        #expect(far.receive() == nil)
        received.close()
        for channel in [far, file, other] { channel.close() }
    }
}
