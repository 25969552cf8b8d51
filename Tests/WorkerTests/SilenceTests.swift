import Base
import TestSupport
import Testing

@testable import Worker

@Suite struct SilenceTests {
    private struct FixedClock: TimeSource {
        var uptime: Uptime
        var now: Timestamp { Timestamp(milliseconds: 0) }

        func wait(until deadline: Uptime) async throws { throw CancellationError() }
    }

    private static let start = Uptime(nanoseconds: 1_000_000_000_000)

    @Test func `a worker bears 75 s of silence, counted from the last word`() async throws {
        try await withTemporaryDirectory { directory in
            let silence = Silence(time: FixedClock(uptime: Self.start), file: "\(directory)/heard")
            #expect(silence.limit == Self.start + .seconds(75))
            silence.heard(at: Self.start + .seconds(60))
            silence.heard(at: Self.start + .seconds(40))
            #expect(silence.limit == Self.start + .seconds(135))
        }
    }

    @Test func `a worker that starts again goes on counting`() async throws {
        try await withTemporaryDirectory { directory in
            let file = "\(directory)/heard"
            Silence(time: FixedClock(uptime: Self.start), file: file).heard(at: Self.start)
            let later = FixedClock(uptime: Self.start + .seconds(70))
            #expect(Silence(time: later, file: file).limit == Self.start + .seconds(75))
        }
    }

    @Test func `a moment of an earlier boot is not believed`() async throws {
        try await withTemporaryDirectory { directory in
            let file = "\(directory)/heard"
            Silence(time: FixedClock(uptime: Self.start), file: file).heard(at: Self.start)
            let rebooted = FixedClock(uptime: Uptime(nanoseconds: 5_000_000_000))
            #expect(Silence(time: rebooted, file: file).limit == Uptime(nanoseconds: 80_000_000_000))
        }
    }
}
