import Base
import Glibc
import TestSupport
import Testing

/// What happens to log lines that wait for the end of their turn.
@Suite struct LogLineTests {
    /// The lines of one scene of the fixture, which must end with `status`.
    private static func lines(of scene: String, endingWith status: Int32) async throws -> [Substring] {
        let result = try await run([ProgramLocation.path("log-fixture"), scene])
        #expect(result.status == status, "\(result.errors.suffix(2000))")
        return result.errors.split(separator: "\n").filter { $0.hasPrefix("{") }
    }

    @Test func `a crash loses no line`() async throws {
        let text = try await Self.lines(of: "crash", endingWith: 128 + SIGABRT).joined(separator: "\n")
        #expect(text.contains(#""message":"first""#))
        #expect(text.contains(#""message":"second","number":"2"}"#))
    }

    @Test func `the program's own end loses no line, and lines keep their order`() async throws {
        let lines = try await Self.lines(of: "end", endingWith: 7)
        #expect(lines.count == 2002)
        for number in 0..<min(2000, lines.count) { #expect(lines[number].contains("\"number\":\"\(number)\"")) }
        #expect(lines.last?.contains("after all") == true)
    }

    @Test func `a line longer than the buffer is written whole`() async throws {
        let lines = try await Self.lines(of: "long", endingWith: 0)
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
