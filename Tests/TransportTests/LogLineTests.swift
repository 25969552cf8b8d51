import Base
import Testing

@Suite struct LogLineTests {
    @Test func `facts of a line that is not written are not gathered`() {
        let log = Log(sink: SilentSink(), time: SystemTime(), level: .warning)
        var count = 0
        func fact() -> Int {
            count += 1
            return count
        }
        log.debug("unwritten", ["n": fact()])
        log.info("unwritten", ["n": fact()])
        #expect(count == 0)
        log.warning("written", ["n": fact()])
        #expect(count == 1)
    }
}
