import Base
import EventLoop
import Glibc
import TestSupport
import Testing

@testable import Worker

@Suite struct GateTests {
    private func withPipe(_ body: (_ path: String, _ writer: Int32, EventLoop) async throws -> Void) async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/gate"
            try #require(mkfifo(path, 0o600) == 0)
            let writer = open(path, O_RDWR | O_CLOEXEC)
            try #require(writer >= 0)
            let loop = try EventLoop(name: "gate")
            loop.start()
            defer { loop.stop() }
            try await body(path, writer, loop)
        }
    }

    @Test func `a worker waits at its gate until it is opened`() async throws {
        try await withPipe { path, writer, loop in
            async let passed: Void = Gate.pass(path, loop: loop)
            #expect(write(writer, "g", 1) == 1)
            try await passed
            close(writer)
        }
    }

    @Test func `a worker that comes later finds no gate`() async throws {
        try await withPipe { path, writer, loop in
            unlink(path)
            try await Gate.pass(path, loop: loop)
            close(writer)
        }
    }

    @Test func `a gate that nobody can open any more is an error`() async throws {
        try await withPipe { path, writer, loop in
            close(writer)
            await #expect(throws: BerthError.self) { try await Gate.pass(path, loop: loop) }
        }
    }
}
