import Base
import EventLoop
import Glibc
import Testing

/// What happens to log lines that wait for the end of their turn.
@Suite struct LogLineTests {
    private static func log(on loop: EventLoop) -> Log { Log(sink: LoopLogSink(), time: loop.time) }

    @Test func `a crash loses no line`() async throws {
        let result = await #expect(processExitsWith: .signal(SIGABRT), observing: [\.standardErrorContent]) {
            LoopProgram.main(name: "crash") { loop in
                let log = LogLineTests.log(on: loop)
                log.info("first")
                log.info("second", ["number": 2])
                abort()
            }
        }
        let text = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        #expect(text.contains(#""message":"first""#))
        #expect(text.contains(#""message":"second","number":"2"}"#))
    }

    @Test func `the program's own end loses no line, and lines keep their order`() async throws {
        let result = await #expect(processExitsWith: .exitCode(7), observing: [\.standardErrorContent]) {
            LoopProgram.main(name: "end") { loop in
                let log = LogLineTests.log(on: loop)
                for number in 0..<2000 { log.info("line", ["number": number]) }
                log.error("last")
                log.info("after all")
                return 7
            }
        }
        let lines = String(decoding: try #require(result).standardErrorContent, as: UTF8.self).split(separator: "\n")
            .filter { $0.hasPrefix("{") }
        #expect(lines.count == 2002)
        for number in 0..<min(2000, lines.count) { #expect(lines[number].contains("\"number\":\"\(number)\"")) }
        #expect(lines.last?.contains("after all") == true)
    }

    @Test func `a line longer than the buffer is written whole`() async throws {
        let result = await #expect(processExitsWith: .exitCode(0), observing: [\.standardErrorContent]) {
            LoopProgram.main(name: "long") { loop in
                let log = LogLineTests.log(on: loop)
                log.info("before")
                log.info("long", ["text": String(repeating: "x", count: 100_000)])
                log.info("behind")
                return 0
            }
        }
        let lines = String(decoding: try #require(result).standardErrorContent, as: UTF8.self).split(separator: "\n")
            .filter { $0.hasPrefix("{") }
        #expect(lines.map(\.utf8.count).max() ?? 0 > 100_000)
        #expect(lines.count == 3)
    }

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
