import Base
import Testing

@testable import Transport

@Suite struct WebSocketLivenessTests {
    /// A watched connection on a clock that the test moves.
    struct Watch {
        var liveness = WebSocketLiveness(interval: .seconds(30), timeout: .seconds(10))
        let start = Uptime(nanoseconds: 1_000_000_000)

        mutating func step(
            _ second: Double,
            heard: Double,
            isReading: Bool = true,
            isBlocked: Bool = false
        ) -> WebSocketLiveness.Step {
            liveness.step(
                .init(now: at(second), heard: at(heard), isReading: isReading, isBlocked: isBlocked)
            )
        }

        func at(_ second: Double) -> Uptime { start + .milliseconds(Int64(second * 1000)) }
    }

    @Test func `a peer that talks is never pinged`() {
        var watch = Watch()
        #expect(watch.step(30, heard: 12) == .wait(until: watch.at(42)))
        #expect(watch.step(42, heard: 41) == .wait(until: watch.at(71)))
    }

    @Test func `regular pings go out while the peer talks, and each gets its whole time`() {
        var watch = Watch(liveness: WebSocketLiveness(interval: .seconds(10), timeout: .seconds(15), isRegular: true))
        #expect(watch.step(10, heard: 9) == .ping(thenWaitUntil: watch.at(20)))
        #expect(watch.step(20, heard: 12) == .ping(thenWaitUntil: watch.at(30)))
        #expect(watch.step(30, heard: 19) == .wait(until: watch.at(35)))
        #expect(watch.step(35, heard: 34) == .ping(thenWaitUntil: watch.at(45)))
        #expect(watch.step(60, heard: 34) == .wait(until: watch.at(60.1)))
        #expect(watch.step(60.1, heard: 34) == .giveUp)
    }

    @Test func `a quiet peer is pinged, and any byte is an answer`() {
        var watch = Watch()
        #expect(watch.step(30, heard: 0) == .ping(thenWaitUntil: watch.at(40)))
        #expect(watch.step(40, heard: 30.2) == .wait(until: watch.at(60.2)))
    }

    @Test func `a silent peer is given up once the loop has had a look at the socket`() {
        var watch = Watch()
        _ = watch.step(30, heard: 0)
        #expect(watch.step(40, heard: 0) == .wait(until: watch.at(40.1)))
        #expect(watch.step(40.1, heard: 0) == .giveUp)
    }

    @Test func `an answer that waited while the loop was held up counts`() {
        var watch = Watch()
        _ = watch.step(30, heard: 0)
        #expect(watch.step(55, heard: 0) == .wait(until: watch.at(55.1)))
        #expect(watch.step(55.1, heard: 55) == .wait(until: watch.at(85)))
    }

    @Test func `while we do not read, silence is ours`() {
        var watch = Watch()
        _ = watch.step(30, heard: 0)
        #expect(watch.step(40, heard: 0, isReading: false) == .wait(until: watch.at(70)))
        #expect(watch.step(70, heard: 0, isReading: false) == .wait(until: watch.at(100)))
        // Reading again, the peer gets a ping of its own before it is judged.
        #expect(watch.step(100, heard: 0) == .ping(thenWaitUntil: watch.at(110)))
    }

    @Test func `while bytes wait for the peer it has not been shown the ping`() {
        var watch = Watch()
        _ = watch.step(30, heard: 0, isBlocked: true)
        _ = watch.step(40, heard: 0, isBlocked: true)
        #expect(watch.step(40.1, heard: 0, isBlocked: true) == .wait(until: watch.at(50.1)))
        _ = watch.step(50.1, heard: 0)
        #expect(watch.step(50.2, heard: 0) == .giveUp)
    }
}
