import Base
import Domain
import Testing
import WorkerProtocol

/// What a worker says of the use of its environment.
@Suite struct ActivityTests {
    private static func use(_ kind: UseKind, _ report: ActivityReport) throws -> ActivityReport.Use {
        try #require(report.uses.first { $0.kind == kind.rawValue })
    }

    @Test func `a command in progress is use, and what it was is told afterwards`() async throws {
        let place = try await WorkerFixture()
        let idle = try await place.server.activity()
        #expect(idle.uses.map(\.kind) == UseKind.allCases.map(\.rawValue))
        #expect(idle.uses.allSatisfy { $0.open == 0 && $0.quietMs == nil })
        let id: ExecutionID = place.ids.make()
        try await place.server.send(place.assignment(id, command: ["sh", "-c", "echo up; exec sleep 300"]))
        try await place.server.bytes(id, atLeast: 3)
        let busy = try Self.use(.execution, try await place.server.activity())
        #expect(busy.open == 1 && busy.quietMs == 0)
        try await place.server.send(.cancel(.init(executionId: id.text, attempt: 1)))
        _ = try await place.server.report(id)
        let after = try Self.use(.execution, try await place.server.activity())
        #expect(after.open == 0 && after.quietMs != nil)
    }

    @Test func `processes that use a processor are use, those that wait are none`() async throws {
        let place = try await WorkerFixture()
        _ = try await place.server.activity()
        let waiting: ExecutionID = place.ids.make()
        try await place.server.send(place.assignment(waiting, command: ["sh", "-c", "echo up; exec sleep 300"]))
        try await place.server.bytes(waiting, atLeast: 3)
        #expect(try Self.use(.process, try await place.server.activity()).quietMs == nil)
        // In a child that has ended by the time of the look.
        let script = "sh -c 'i=0; while [ $i -lt 2000000 ]; do i=$((i+1)); done'; echo done; exec sleep 300"
        let working: ExecutionID = place.ids.make()
        try await place.server.send(place.assignment(working, command: ["sh", "-c", script]))
        try await place.server.bytes(working, atLeast: 5)
        #expect(try Self.use(.process, try await place.server.activity()).quietMs == 0)
        for id in [waiting, working] {
            try await place.server.send(.cancel(.init(executionId: id.text, attempt: 1)))
            _ = try await place.server.report(id)
        }
    }
}
