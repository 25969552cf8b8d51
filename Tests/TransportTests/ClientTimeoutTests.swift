import Base
import EventLoop
import OpenSSL
import Synchronization
import TestSupport
import Testing

@testable import Transport

@Suite struct ClientTimeoutTests {
    private func client(
        _ loop: EventLoop,
        resolver: Resolver = Resolver(),
        _ change: (inout HTTPClientConfiguration) -> Void
    ) -> HTTPClient {
        var configuration = HTTPClientConfiguration()
        change(&configuration)
        return HTTPClient(loop: loop, configuration: configuration, resolver: resolver)
    }

    private func expectTimeout(_ text: String, _ body: () async throws -> Void) async {
        await #expect {
            try await body()
        } throws: { error in
            guard let known = error as? BerthError else { return false }
            return known.code == .timedOut && known.message.contains(text)
        }
    }

    @Test func `each phase has its own limit and says which it was`() async throws {
        try await withLoop { loop in
            let silent = try await ScriptedServer(on: loop) { connection in
                if connection.text.contains("GET /half") {
                    connection.answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
                }
            }
            let head = client(loop) { $0.headTimeout = .milliseconds(50) }
            await expectTimeout("did not answer in time") { _ = try await head.fetch(.init(.get, silent.url())) }
            let body = client(loop) { $0.bodyTimeout = .milliseconds(50) }
            await expectTimeout("stopped half-way") { _ = try await body.fetch(.init(.get, silent.url("/half"))) }
            let tls = client(loop) {
                $0.tlsTimeout = .milliseconds(50)
                $0.trust = .keys([])
            }
            await #expect(throws: BerthError.self) {
                _ = try await tls.fetch(.init(.get, HTTPURL("https://\(silent.address)/")))
            }
            let certificates = try await Certificates.made()
            let shaking = client(loop) {
                $0.tlsTimeout = .milliseconds(50)
                $0.trust = .authorities(file: certificates.file("ca.pem"))
            }
            await expectTimeout("the TLS handshake") {
                _ = try await shaking.fetch(.init(.get, HTTPURL("https://\(silent.address)/")))
            }
            for client in [head, body, tls, shaking] { await client.close() }
        }
    }

    @Test func `a name server that does not answer ends the lookup, not the client`() async throws {
        try await withNameServer { _, _ in
            nil
        } _: { resolver, loop in
            let client = client(loop, resolver: resolver) { $0.lookUpTimeout = .milliseconds(80) }
            let began = loop.time.uptime
            await expectTimeout("cannot look up the host 'slow.example'") {
                _ = try await client.fetch(.init(.get, HTTPURL("http://slow.example/")))
            }
            #expect(loop.time.uptime - began < .seconds(5))
        }
    }

    @Test func `the whole has a limit across redirects and the body`() async throws {
        try await withLoop { loop in
            let dripping = try await ScriptedServer(on: loop) { connection in
                guard connection.heads == 1, !connection.hasInputEnded else { return }
                connection.answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                let socket = connection.socket
                loop.spawn {
                    while socket.isOpen, (try? await loop.time.wait(for: .milliseconds(10))) != nil {
                        Array("1\r\nx\r\n".utf8).withUnsafeBytes { socket.write($0) }
                    }
                }
            }
            let client = client(loop) { _ in }
            await expectTimeout("took longer than the request was given") {
                _ = try await client.fetch(.init(.get, dripping.url(), timeout: .seconds(1)))
            }
            let waiting = Mutex(0)
            let redirecting = try await ScriptedServer(on: loop) { connection in
                waiting.withLock { $0 += 1 }
                loop.spawn {
                    try? await loop.time.wait(for: .milliseconds(200))
                    connection.answer("HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n")
                    waiting.withLock { $0 -= 1 }
                }
            }
            await expectTimeout("took longer than the request was given") {
                _ = try await client.fetch(.init(.get, redirecting.url(), timeout: .seconds(1)))
            }
            await client.close()
            // What still waits would be lost with the loop.
            while waiting.withLock({ $0 > 0 }) { try await loop.time.wait(for: .milliseconds(10)) }
        }
    }
}
