import Base
import EventLoop
import Testing

@testable import Transport

@Suite struct ClientRedirectTests {
    /// Redirects `/from/STATUS` to `/to`, which tells what it was asked.
    private static let handler: HTTPHandler = { request in
        let parts = request.path.split(separator: "/")
        if parts.first == "from", let status = parts.last.flatMap({ Int($0) }) {
            var response = HTTPResponse(status: status)
            response.headers.set("location", "/to?x")
            return response
        }
        if request.path == "/loop" {
            var response = HTTPResponse(status: 302)
            response.headers.set("location", "loop")
            return response
        }
        let body = String(decoding: try await request.body.collect(upTo: 1000), as: UTF8.self)
        let type = request.headers["content-type"] ?? "-"
        return .text("\(request.method) \(request.path)?\(request.rawQuery) \(type) \(body)")
    }

    @Test(arguments: [
        (301, "GET", "GET /to?x - "), (302, "GET", "GET /to?x - "), (307, "GET", "GET /to?x - "),
        (301, "POST", "GET /to?x - "), (302, "POST", "GET /to?x - "), (303, "POST", "GET /to?x - "),
        (307, "POST", "POST /to?x text/plain hello"), (308, "POST", "POST /to?x text/plain hello"),
        (301, "PUT", "PUT /to?x text/plain hello"), (302, "DELETE", "DELETE /to?x - "), (303, "PUT", "GET /to?x - "),
    ])
    func `a redirect is followed as its status and the method say`(_ status: Int, _ method: String, _ expected: String)
        async throws
    {
        try await withServer(handler: Self.handler) { server, loop, address in
            var request = HTTPClientRequest(HTTPMethod(rawValue: method), address.url("/from/\(status)"))
            if method == "POST" || method == "PUT" {
                request.headers.set("content-type", "text/plain")
                request.body = .bytes(Array("hello".utf8))
            }
            let client = HTTPClient(loop: loop)
            let response = try await client.send(request)
            #expect(response.url == address.url("/to?x"))
            let body = try await response.body.collect(upTo: 1000)
            #expect(String(decoding: body, as: UTF8.self) == expected)
            #expect(server.connectionCount == 1)
            await client.close()
        }
    }

    @Test func `a streamed body is not sent again: the redirect is the response`() async throws {
        try await withServer(handler: Self.handler) { _, loop, address in
            let body = HTTPClientRequest.Body.stream(length: 2) { try await $0.write([1, 2]) }
            let client = HTTPClient(loop: loop)
            try await expect(307, of: client, HTTPClientRequest(.post, address.url("/from/307"), body: body))
            try await expect(200, of: client, HTTPClientRequest(.post, address.url("/from/303"), body: body))
            await client.close()
        }
    }

    @Test func `redirects end after ten, and are responses where none are wanted`() async throws {
        try await withServer(handler: Self.handler) { _, loop, address in
            let client = HTTPClient(loop: loop)
            await #expect {
                _ = try await client.send(.init(.get, address.url("/loop")))
            } throws: {
                "\($0)".contains("redirects more than 10 times")
            }
            await client.close()
            var configuration = HTTPClientConfiguration()
            configuration.maximumRedirects = 0
            let plain = HTTPClient(loop: loop, configuration: configuration)
            try await expect(302, of: plain, .init(.get, address.url("/loop")))
            await plain.close()
        }
    }

    @Test func `credentials stay with the server that they are for`() async throws {
        try await withLoop { loop in
            let far = try await ScriptedServer(on: loop) { connection in
                guard let text = connection.takeRequest() else { return }
                connection.answer("HTTP/1.1 200 OK\r\ncontent-length: \(text.utf8.count)\r\n\r\n\(text)")
            }
            let place = "http://\(far.address)/elsewhere"
            let near = try await ScriptedServer(on: loop) { connection in
                guard let text = connection.takeRequest() else { return }
                if text.hasPrefix("GET /here") {
                    connection.answer("HTTP/1.1 200 OK\r\ncontent-length: \(text.utf8.count)\r\n\r\n\(text)")
                } else {
                    let target = text.hasPrefix("GET /far") ? place : "/here"
                    connection.answer("HTTP/1.1 302 Found\r\nlocation: \(target)\r\ncontent-length: 0\r\n\r\n")
                }
            }
            let headers: HTTPHeaders = [
                "authorization": "Bearer secret", "cookie": "a=b", "x-other": "kept", "host": "virtual.example",
            ]
            let client = HTTPClient(loop: loop)
            let away = try await client.fetch(.init(.get, near.url("/far"), headers: headers))
            let said = String(decoding: away.body, as: UTF8.self)
            #expect(said.contains("x-other: kept"))
            #expect(said.contains("host: \(far.address)"))
            for word in ["secret", "a=b", "virtual"] { #expect(!said.contains(word)) }
            let home = try await client.fetch(.init(.get, near.url("/near"), headers: headers))
            #expect(String(decoding: home.body, as: UTF8.self).contains("Bearer secret"))
            await client.close()
        }
    }

    @Test func `nothing leads from https to http or to a socket of this machine`() throws {
        // Stopped, as one that never ran keeps itself.
        let loop = try EventLoop()
        loop.start()
        defer { loop.stop() }
        func next(_ from: String, _ place: String) throws -> HTTPClientRequest? {
            let url = try HTTPURL(from)
            let request = HTTPClientRequest(.get, url)
            let response = HTTPClientResponse(
                status: 302,
                headers: ["location": place],
                body: IncomingBody(BodyBuffer(loop: loop)),
                url: url
            )
            return try HTTPRedirect.request(after: response, to: request)
        }
        #expect(throws: BerthError.self) { try next("https://a/", "http://a/") }
        #expect(throws: BerthError.self) { try next("http://a/", "unix:/run/x.sock") }
        #expect(throws: BerthError.self) { try next("http://a/", "http+unix://%2Frun%2Fx.sock/") }
        #expect(throws: BerthError.self) { try next("http://a/", "ftp://b/") }
        #expect(try next("https://a/", "//b/c")?.url == HTTPURL("https://b/c"))
        #expect(try next("http://a/", "https://a/")?.url == HTTPURL("https://a/"))
    }

    /// RFC 3986, section 5.4, without the parts that HTTP has not.
    @Test func `references are resolved as RFC 3986 shows`() throws {
        let base = try HTTPURL("http://a/b/c/d?q")
        let cases = [
            "g": "/b/c/g", "./g": "/b/c/g", "g/": "/b/c/g/", "/g": "/g", "?y": "/b/c/d?y", "g?y": "/b/c/g?y",
            "#s": "/b/c/d?q", "g#s": "/b/c/g", ";x": "/b/c/;x", "": "/b/c/d?q", ".": "/b/c/", "./": "/b/c/",
            "..": "/b/", "../": "/b/", "../g": "/b/g", "../..": "/", "../../g": "/g", "../../../g": "/g",
            "/./g": "/g", "/../g": "/g", "g.": "/b/c/g.", "..g": "/b/c/..g", "./g/.": "/b/c/g/", "g/./h": "/b/c/g/h",
            "g/../h": "/b/c/h", "g?y/../x": "/b/c/g?y/../x", "//h/i": "/i", "http://h": "/",
        ]
        for (reference, target) in cases { #expect(base.resolving(reference)?.target == target, "\(reference)") }
        for wrong in ["g:h", "mailto:x", "http://", "g h", "http://u@h/"] {
            #expect(base.resolving(wrong) == nil, "\(wrong)")
        }
    }
}
