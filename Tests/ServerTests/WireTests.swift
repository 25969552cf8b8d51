import API
import Base
import Client
import EventLoop
import FoundationEssentials
import TestSupport
import Testing
import Transport

/// The wire as the shipped routes speak it.
@Suite struct WireTests {
    static func connect(_ server: RunningServer) async throws -> RawSocket {
        let port = try #require(server.url.split(separator: ":").last.flatMap { Int($0) })
        let address = try #require(SocketAddress(numericHost: "127.0.0.1", port: port))
        return try await RawSocket.connect(address, on: server.loop)
    }

    @Test func `malformed requests are refused in front of the routes`() async throws {
        let close = "connection: close\r\n\r\n"
        let requests: [(String, Int)] = [
            ("GET /healthz HTTP/1.1\r\nhost: x\r\n" + close, 200),
            ("GET /healthz HTTP/1.0\r\n\r\n", 200),
            ("OPTIONS * HTTP/1.1\r\nhost: x\r\n" + close, 404),
            ("GET /v1/../healthz HTTP/1.1\r\nhost: x\r\n" + close, 404),
            ("GET /%68ealthz HTTP/1.1\r\nhost: x\r\n" + close, 200),
            ("GET /healthz HTTP/1.1\r\n\r\n", 400),
            ("GET /healthz HTTP/1.1\nhost: x\n\n", 400),
            ("GET /healthz%00 HTTP/1.1\r\nhost: x\r\n" + close, 400),
            ("GET /healthz HTTP/2.0\r\nhost: x\r\n\r\n", 505),
            ("TRACE /healthz HTTP/1.1\r\nhost: x\r\n\r\n", 501),
            ("POST /v1/executions HTTP/1.1\r\nhost: x\r\ncontent-length: 5, 6\r\n\r\nhello", 400),
            (
                "POST /v1/executions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"
                    + "0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
                400
            ),
            // Unauthorized comes before the body, which then is not read.
            ("POST /v1/executions HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\nexpect: 100-continue\r\n\r\n", 401),
        ]
        try await RunningServer.with { server in
            for (request, status) in requests {
                let peer = try await Self.connect(server)
                try await peer.send(request)
                let text = try await peer.readAll()
                #expect(text.hasPrefix("HTTP/1.1 \(status) "), "\(request): \(text.prefix(200))")
                #expect(text.ranges(of: "HTTP/1.1 ").count == 1, "\(request)")
            }
        }
    }

    @Test func `a refused WebSocket is a plain answer and the connection goes on`() async throws {
        try await RunningServer.with { server in
            let peer = try await Self.connect(server)
            try await peer.send(
                "GET /v1/worker HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
                    + "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    + "authorization: Bearer wrong\r\n\r\n"
            )
            #expect(try await peer.read(until: "}").hasPrefix("HTTP/1.1 401 "))
            try await peer.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            #expect(try await peer.read(until: "}").hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test func `the description is compressed and not sent twice to who has it`() async throws {
        try await RunningServer.with { server in
            func fetch(_ headers: HTTPHeaders) async throws -> (status: Int, headers: HTTPHeaders, count: Int) {
                let peer = try await Self.connect(server)
                let fields = headers.map { "\($0.name): \($0.value)\r\n" }.joined()
                try await peer.send("GET /openapi.json HTTP/1.0\r\n\(fields)\r\n")
                var bytes: [UInt8] = []
                while let more = try await peer.read() { bytes += more }
                let end = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("\r\n\r\n".utf8)) })
                let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n").map(String.init)
                let pairs = lines.dropFirst().map { line in
                    let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmed }
                    return (parts[0], parts[1])
                }
                let status = Int(lines[0].split(separator: " ")[1]) ?? 0
                return (status, HTTPHeaders(pairs), bytes.count - end - 4)
            }
            let plain = try await fetch([:])
            let packed = try await fetch(["accept-encoding": "gzip, br"])
            #expect(plain.status == 200 && packed.status == 200)
            #expect(packed.headers["content-encoding"] == "gzip" && packed.headers["vary"] == "accept-encoding")
            #expect(packed.count < plain.count / 4)
            let tag = try #require(packed.headers["etag"])
            let known = try await fetch(["accept-encoding": "gzip", "if-none-match": tag])
            #expect(known.status == 304 && known.count == 0 && known.headers["etag"] == tag)
        }
    }

    @Test func `a worker that lost its connection fetches the rest of an upload`() async throws {
        try await RunningServer.with { server in
            let text = String(repeating: "0123456789", count: 100_000)
            let headers: HTTPHeaders = ["content-type": "application/octet-stream"]
            let made = try await server.request("POST", "/v1/uploads", body: text, headers: headers)
            let id = try #require(made.body?["id"]?.string)
            let digest = try #require(made.body?["sha256"]?.string)
            func fetch(_ fields: HTTPHeaders) async throws -> (status: Int, headers: HTTPHeaders, body: [UInt8]) {
                var fields = fields
                fields.set("authorization", "Bearer \(RunningServer.workerToken)")
                let url = try HTTPURL(server.url + "/v1/worker/uploads/\(id)")
                return try await server.http.fetch(HTTPClientRequest(.get, url, headers: fields))
            }
            let whole = try await fetch([:])
            #expect(whole.body == Array(text.utf8) && whole.headers["etag"] == "\"\(digest)\"")
            let rest = try await fetch(["range": "bytes=999995-", "if-range": "\"\(digest)\""])
            #expect(rest.status == 206 && rest.body == Array("56789".utf8))
            #expect(rest.headers["content-range"] == "bytes 999995-999999/1000000")
            let known = try await fetch(["if-none-match": "\"\(digest)\""])
            #expect(known.status == 304 && known.body.isEmpty)
        }
    }

    @Test func `one server answers over IPv4, IPv6 and a unix socket`() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("api.sock")
        // The first address is the one that the server names.
        let listen = "unix:\(path), 127.0.0.1:0, [::1]:0"
        try await RunningServer.with(settings: ["listen": listen]) { server in
            #expect(server.url == "unix:\(path)")
            let who: WhoAmI = try await server.client.call(.whoAmI)
            #expect(!who.role.isEmpty)
        }
        try await RunningServer.with(settings: ["listen": "[::]:0"]) { server in
            let port = try #require(server.url.split(separator: ":").last.flatMap { Int($0) })
            for host in ["127.0.0.1", "::1"] {
                let url = HTTPURL(endpoint: .tcp(host: host, port: port), target: "/healthz")
                #expect(try await server.http.fetch(HTTPClientRequest(.get, url)).status == 200, "\(host)")
            }
        }
    }

    @Test func `limits and deadlines of the configuration hold`() async throws {
        let settings = [
            "headTimeoutMs": "200", "maxConnectionsFromLoopback": "2", "maxHeaders": "16", "maxHeaderBytes": "2048",
        ]
        try await RunningServer.with(settings: settings) { server in
            let slow = try await Self.connect(server)
            try await slow.send("GET /healthz HTTP/1.1\r\n")
            #expect(try await slow.readAll().hasPrefix("HTTP/1.1 408 "))
            await slow.close()
            let long = try await Self.connect(server)
            try await long.send("GET /healthz HTTP/1.1\r\nhost: x\r\na: \(String(repeating: "a", count: 3000))\r\n\r\n")
            #expect(try await long.readAll().hasPrefix("HTTP/1.1 431 "))
            await long.close()
            // Both places may still be taken by those that end.
            var held: [RawSocket] = []
            let deadline = server.loop.time.uptime + .seconds(20)
            while held.count < 2, server.loop.time.uptime < deadline {
                let peer = try await Self.connect(server)
                try? await peer.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
                if try await peer.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200 ") { held.append(peer) }
            }
            #expect(held.count == 2)
            #expect(try await Self.connect(server).readAll().hasPrefix("HTTP/1.1 429 "))
        }
    }
}
