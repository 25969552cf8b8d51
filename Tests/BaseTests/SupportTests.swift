import TestSupport
import Testing

@Suite struct SupportTests {
    @Test func `a program's output, errors and status are collected`() async throws {
        let result = try await run(["sh", "-c", "cat; echo oops >&2; exit 3"], input: "hello")
        #expect(result.status == 3)
        #expect(result.output == "hello")
        #expect(result.errors == "oops\n")
    }

    @Test func `waiting for a line ends when the line comes`() async throws {
        let process = try ChildProcess(["sh", "-c", "echo ready; cat"])
        #expect(try await process.line(containing: "ready") == "ready")
        process.closeInput()
        #expect(try await process.exit() == 0)
    }

    @Test func `a line that never comes is an error that shows what was said`() async throws {
        let process = try ChildProcess(["sh", "-c", "echo something else; cat"])
        let error = await #expect(throws: TimedOut.self) {
            _ = try await process.line(containing: "ready", within: .milliseconds(200))
        }
        #expect(error?.description.contains("something else") == true)
    }
}
