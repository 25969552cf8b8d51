import Base
import EventLoop
import OpenSSL
import TestSupport
import Testing

@testable import Transport

/// Connections that leave HTTP, as Docker's attach and exec do.
@Suite struct RawStreamTests {
    /// Says `head` to a whole request, then echoes what comes, and `bye` when no more comes.
    private static func echo(_ head: String) -> @Sendable (ScriptedServer.Connection) -> Void {
        { connection in
            if !connection.isAnswered {
                guard connection.text.hasSuffix("\r\n\r\n{}") else { return }
                connection.isAnswered = true
                connection.answer(head)
            } else if !connection.received.isEmpty {
                connection.answer(connection.received)
            }
            connection.received = []
            if connection.hasInputEnded {
                connection.answer("bye")
                connection.socket.closeAfterFlush()
            }
        }
    }

    private func exec(_ url: HTTPURL) -> HTTPClientRequest {
        HTTPClientRequest(
            .post,
            url,
            headers: ["content-type": "application/json"],
            body: .bytes(Array("{}".utf8))
        )
    }

    private func collect(_ stream: UpgradedStream) async throws -> String {
        var all: [UInt8] = []
        while let bytes = try await stream.read() { all += bytes }
        return String(decoding: all, as: UTF8.self)
    }

    @Test(arguments: [
        "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly ",
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nearly ",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly ",
    ])
    func `an accepted upgrade is a stream both ways with an end of each way`(_ head: String) async throws {
        try await withLoop { loop in
            let server = try await ScriptedServer(on: loop, Self.echo(head))
            let client = HTTPClient(loop: loop)
            let stream = try await client.upgrade(exec(server.url("/exec/1/start")))
            #expect(try await stream.read() == Array("early ".utf8))
            try await stream.write(Array("ping".utf8))
            #expect(try await stream.read() == Array("ping".utf8))
            // The other side still speaks after we have ended ours.
            try await stream.finishWriting()
            #expect(try await collect(stream) == "bye")
            await #expect(throws: BerthError.self) { try await stream.write([1]) }
            await client.close()
        }
    }

    @Test func `the request asks for the upgrade with its body whole`() async throws {
        try await withLoop { loop in
            let server = try await ScriptedServer(on: loop) { connection in
                guard connection.text.hasSuffix("{}") else { return }
                connection.answer("HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n\(connection.text)")
                connection.socket.closeAfterFlush()
            }
            let stream = try await HTTPClient(loop: loop).upgrade(exec(server.url("/x")))
            let said = try await collect(stream).lowercased()
            #expect(said.hasPrefix("post /x http/1.1\r\n"))
            for line in ["upgrade: tcp\r\n", "connection: upgrade\r\n", "content-length: 2\r\n"] {
                #expect(said.contains(line), "\(said)")
            }
        }
    }

    @Test(arguments: [
        ("404 Not Found", ErrorCode.notFound), ("500 Oops", .unavailable), ("409 Conflict", .protocolViolation),
        ("200 OK", .protocolViolation),
    ])
    func `any other answer is an error with what the server said`(_ status: String, _ code: ErrorCode) async throws {
        try await withLoop { loop in
            let server = try await ScriptedServer(on: loop) { connection in
                guard connection.text.hasSuffix("{}") else { return }
                connection.answer("HTTP/1.1 \(status)\r\ncontent-length: 17\r\n\r\nno such container")
            }
            let client = HTTPClient(loop: loop)
            await #expect {
                _ = try await client.upgrade(exec(server.url()))
            } throws: { error in
                let known = error as? BerthError
                return known?.code == code && known?.detail == "no such container"
            }
            await client.close()
        }
    }

    @Test func `many bytes go both ways at once, and a reader that stops holds the peer back`() async throws {
        let size = 3_000_000
        try await withLoop { loop in
            let server = try await ScriptedServer(on: loop) { connection in
                if connection.number == 1, connection.heads == 1, connection.text.hasSuffix("{}") {
                    connection.answer("HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n")
                    connection.answer([UInt8](repeating: 0x61, count: size))
                    connection.received = []
                }
                if connection.hasInputEnded {
                    connection.answer("\(connection.received.count)")
                    connection.socket.closeAfterFlush()
                }
            }
            let stream = try await HTTPClient(loop: loop).upgrade(exec(server.url()))
            for _ in 0..<30 { try await stream.write([UInt8](repeating: 0x62, count: size / 30)) }
            try await stream.finishWriting()
            let all = try await collect(stream)
            #expect(all.utf8.count == size + 7)
            #expect(all.hasSuffix("a\(size)"))
        }
    }

    @Test func `it works over TLS, where each way ends with a close_notify`() async throws {
        let certificates = try await Certificates.made()
        // Speaks TLS for a plain echo behind it.
        let server = try ChildProcess([
            "openssl", "s_server", "-accept", "127.0.0.1:0", "-quiet", "-naccept", "1",
            "-cert", certificates.file("server.pem"), "-key", certificates.file("server.key"),
        ])
        _ = server.pid
        let port = try await listeningPort(of: server.pid)
        try await withLoop { loop in
            var configuration = HTTPClientConfiguration()
            configuration.trust = .authorities(file: certificates.file("ca.pem"))
            let client = HTTPClient(loop: loop, configuration: configuration)
            async let opening = client.upgrade(exec(HTTPURL("https://localhost:\(port)/")))
            _ = try await server.line(containing: "content-length: 2")
            server.send("HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nhello\n")
            let stream = try await opening
            #expect(try await stream.read() == Array("hello\n".utf8))
            try await stream.write(Array("there\n".utf8))
            _ = try await server.line(containing: "there")
            try await stream.finishWriting()
            _ = try await server.exit(within: .seconds(20))
        }
    }

    /// The port that a process listens on, once it does.
    private func listeningPort(of process: Int32) async throws -> String {
        let command = """
            for i in $(seq 200); do
              inodes=$(ls -l /proc/\(process)/fd 2>/dev/null | sed -n 's/.*socket:\\[\\([0-9]*\\)\\]/\\1/p')
              for inode in $inodes; do
                port=$(awk -v i=$inode '$4 == "0A" && $10 == i { split($2, a, ":"); print a[2] }' /proc/net/tcp)
                [ -n "$port" ] && { printf '%d' 0x$port; exit 0; }
              done
              sleep 0.05
            done
            exit 1
            """
        return try await check(["sh", "-c", command])
    }
}
