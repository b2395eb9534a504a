import ObjectStore
import Primitives

/// Lets the bytes of one runner through if they come first, and none otherwise.
struct RacingSink: ByteSink {
    let sink: any ByteSink
    let race: Race<Void>
    let runner: Race<Void>.Runner

    func take(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StoreError) {
        guard race.lead(runner) else { throw StoreError(.cancelled, "read", detail: "another answer was faster") }
        try sink.take(bytes, at: offset)
    }
}
