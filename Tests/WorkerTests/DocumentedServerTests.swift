import Base
import EventLoop
import FoundationEssentials
import Synchronization
import TestSupport
import Testing
import Transport

@testable import Worker

/// A server written from seed 004 alone: it knows the documented messages, JSON objects in text frames, and no other.
@Suite struct DocumentedServerTests {
    private static let assignment = """
        {"type":"assign","executionId":"run/4711 – ä","personaId":"p1","prompt":"say hé","env":{"GREETING":"grüß"},\
        "config":{"timeoutMs":20000,"maxOutputBytes":1000000}}
        """

    @Test func `a server that knows only the documented messages gets a whole run`() async throws {
        // Found on the PATH before any other: not the CLI, but what a run of it looks like from outside.
        let programs = try TemporaryDirectory("programs")
        let claude = try programs.write(
            "#!/bin/sh\nread line\nprintf '%s|' \"$line\" \"$GREETING\"; echo oops >&2; exit 3\n",
            to: "bin/claude"
        )
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: claude)
        let place = try await WorkerFixture(
            path: "\(programs.file("bin")):/usr/bin:/bin",
            startingServer: false
        )
        let seen = Mutex<[JSONValue]>([])
        let server = HTTPServer(
            loops: [place.loop],
            ids: place.ids,
            log: Log(sink: SilentSink(), time: SystemTime())
        ) { _ in
            HTTPResponse(
                body: .webSocket(subprotocol: nil) { socket in
                    while let message = try await socket.receive() {
                        guard case .text(let text) = message else { continue }
                        let value = try JSONValue(parsing: text.utf8)
                        seen.withLock { $0.append(value) }
                        switch value["type"]?.string {
                        case "hello":
                            let id = value["workerId"]?.string ?? ""
                            try await socket.send(text: #"{"type":"ack","workerId":"\#(id)","sessionToken":"t"}"#)
                        case "ready": try await socket.send(text: Self.assignment)
                        case "complete": return
                        default: break
                        }
                    }
                }
            )
        }
        try await server.listen(on: .unix(path: place.directory.file("run/link.sock"), mode: 0o600))
        try await place.until("the run is complete") {
            seen.withLock { $0.contains { $0["type"]?.string == "complete" } }
        }
        let messages = seen.withLock { $0 }
        func text(_ type: String) -> String {
            messages.filter { $0["type"]?.string == type }.compactMap { $0["chunk"]?.string }.joined()
        }
        #expect(text("stdout") == "say hé|grüß|")
        #expect(text("stderr") == "oops\n")
        let complete = try #require(messages.last)
        #expect(complete["executionId"]?.string == "run/4711 – ä")
        #expect(complete["status"]?.string == "failed")
        #expect(complete["exitCode"]?.integer == 3)
        #expect(complete["durationMs"]?.integer != nil)
        let documented: Set = ["hello", "ready", "stdout", "stderr", "complete", "event", "heartbeat"]
        #expect(messages.allSatisfy { documented.contains($0["type"]?.string ?? "") })
        await server.shutdown(drainingFor: .zero)
    }

    @Test(arguments: [("aé", 3, 3), ("aé", 2, 1), ("a🚀", 4, 1), ("a🚀", 3, 1), ("a🚀", 2, 1), ("a🚀", 5, 5), ("", 0, 0)])
    func `text is cut between characters only`(text: String, taken: Int, whole: Int) {
        #expect(Array(text.utf8.prefix(taken)).wholeCharacters == whole)
    }
}
