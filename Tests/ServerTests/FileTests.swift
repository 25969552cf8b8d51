import API
import Base
import Client
import Domain
import FoundationEssentials
import OpenSSL
import Testing
import Transport

/// Uploads, and bundles of new commits.
@Suite struct FileTests {
    private static let worker: HTTPHeaders = ["authorization": "Bearer \(RunningServer.workerToken)"]
    private static let bytes: HTTPHeaders = ["content-type": "application/octet-stream"]

    private static func upload(_ server: RunningServer, _ text: String) async throws -> Upload {
        let answer = try await server.request("POST", "/v1/uploads", body: text, headers: bytes)
        #expect(answer.status == 201)
        let id = try UploadID(try #require(answer.body?["id"]?.string))
        #expect(answer.body?["bytes"]?.integer == Int64(text.utf8.count))
        let digest = Hex.encode(SHA256.hash(Array(text.utf8)))
        #expect(answer.body?["sha256"]?.string == digest)
        return Upload(id: id, bytes: Int64(text.utf8.count), sha256: digest, expiresAt: Timestamp(milliseconds: 0))
    }

    @Test(arguments: ["files", "database"])
    func `a worker reads an upload, a person's key does not`(store: String) async throws {
        try await RunningServer.with(settings: ["outputStore": store]) { server in
            let upload = try await Self.upload(server, "a bundle")
            let path = "/v1/worker/uploads/\(upload.id)"
            let answer = try await server.http.fetch(
                HTTPClientRequest(.get, try HTTPURL(server.url + path), headers: Self.worker)
            )
            #expect(answer.status == 200)
            #expect(answer.body == Array("a bundle".utf8))
            #expect(try await server.request("GET", path).status == 401)
            let unknown = "/v1/worker/uploads/up_01jd0000000000000000000000"
            let absent = try await server.request("GET", unknown, headers: Self.worker, isAuthenticated: false)
            #expect(absent.status == 404)
        }
    }

    @Test func `an upload over the limit is refused and nothing of it stays`() async throws {
        try await RunningServer.with(settings: ["maxUploadBytes": "1048576"]) { server in
            let long = String(repeating: "x", count: 1 << 20)
            let fitting = try await Self.upload(server, long)
            let answer = try await server.request("POST", "/v1/uploads", body: long + "y", headers: Self.bytes)
            #expect(answer.status == 413)
            #expect(answer.body?["code"]?.string == "too_large")
            let empty = try await server.request("POST", "/v1/uploads", body: "", headers: Self.bytes)
            #expect(empty.status == 400)
            let left = try FileManager.default.contentsOfDirectory(atPath: server.data + "/uploads")
            #expect(left == [fitting.id.text])
        }
    }

    @Test(arguments: [
        (#"{"url":"local:app-1","upload":"up_01jd0000000000000000000000"}"#, 404, "repository.upload"),
        (#"{"url":"https://example.org/a.git","upload":"up_01jd0000000000000000000000"}"#, 400, "repository.upload"),
        (#"{"url":"local:app-1","push":true}"#, 422, "repository.push"),
        (#"{"url":"local:a/b"}"#, 400, "repository.url"),
    ]) func `a repository that cannot be is refused by its field`(repository: String, status: Int, field: String)
        async throws
    {
        try await RunningServer.with { server in
            let body = #"{"command":["true"],"repository":\#(repository)}"#
            let answer = try await server.request("POST", "/v1/executions", body: body)
            #expect(answer.status == status)
            #expect(answer.body?["field"]?.string == field)
        }
    }

    @Test func `a key is refused where it cannot serve, and never repeated`() async throws {
        try await RunningServer.with { server in
            for (url, key) in [("https://example.org/a.git", "x"), ("git@example.org:a.git", "-----secret")] {
                let body =
                    #"{"command":["true"],"repository":{"url":"\#(url)"},"ssh":{"privateKey":"\#(key)"}}"#
                let answer = try await server.request("POST", "/v1/executions", body: body)
                #expect(answer.status == 400)
                #expect(answer.body?["field"]?.string?.hasPrefix("ssh") == true)
                #expect(answer.body?["detail"]?.string?.contains("-----secret") != true)
            }
        }
    }

    @Test(arguments: ["files", "database"])
    func `only the attempt that runs may bring a bundle, and only whole`(store: String) async throws {
        try await RunningServer.with(settings: ["outputStore": store]) { server in
            let worker = try await DocumentedWorker.introduced(to: server)
            try await worker.ready()
            let accepted = try await server.request("POST", "/api/execute", body: #"{"personaId":"p","prompt":"x"}"#)
            let id = try #require(accepted.body?["executionId"]?.string)
            _ = try await worker.hear("assign")
            let digest = Hex.encode(SHA256.hash(Array("new".utf8)))
            func put(_ id: String, _ query: String, _ body: String) async throws -> Int {
                try await server.request(
                    "PUT",
                    "/v1/worker/executions/\(id)/bundle?\(query)",
                    body: body,
                    headers: [
                        "authorization": "Bearer \(RunningServer.workerToken)",
                        "content-type": "application/octet-stream",
                    ],
                    isAuthenticated: false
                ).status
            }
            #expect(try await put(id, "attempt=1&sha256=\(digest)", "old") == 400)
            #expect(try await put(id, "attempt=2&sha256=\(digest)", "new") == 404)
            #expect(try await put("exec_01jd0000000000000000000000", "attempt=1&sha256=\(digest)", "new") == 404)
            #expect(try await put(id, "attempt=1", "new") == 400)
            #expect(try await put(id, "attempt=1&sha256=\(digest)", "new") == 204)
            #expect(try await put(id, "attempt=1&sha256=\(digest)", "new") == 204)
            try await worker.complete(id)
            let ended: Execution = try await server.client.call(.executionWait, path: ["executionId": id])
            #expect(ended.status == .completed)
            #expect(try await put(id, "attempt=1&sha256=\(digest)", "new") == 404)
            // Its report spoke of none.
            let bundle = try await server.request("GET", "/v1/executions/\(id)/bundle")
            #expect(bundle.status == 404)
        }
    }
}
