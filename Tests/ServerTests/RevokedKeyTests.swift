import API
import Base
import Client
import Domain
import Testing
import Transport

/// What a key opened ends with it.
@Suite struct RevokedKeyTests {
    @Test func `streams of a revoked key end, and those of others go on`() async throws {
        try await RunningServer.with { server in
            let made = try await server.request("POST", "/v1/keys", body: #"{"name":"short"}"#)
            let id = try #require(made.body?["key"]?["id"]?.string)
            let token = try #require(made.body?["token"]?.string)
            let guest = try BerthClient(url: server.url, key: Secret(token), loop: server.loop)
            var theirs = guest.changes(ChangeQuery(), from: .after(0))
            var ours = server.client.changes(ChangeQuery(), from: .after(0))
            _ = try await theirs.next()
            _ = try await ours.next()
            _ = try await server.request("POST", "/v1/keys/\(id)/revoke")
            // What was on its way still comes; then the stream ends, and the way back is closed.
            let error = await #expect(throws: BerthError.self) {
                while true { _ = try await theirs.next() }
            }
            #expect(error?.code == .unauthenticated)
            _ = try await server.request("POST", "/v1/repositories", body: #"{"url":"https://example.com/a/b.git"}"#)
            while true {
                if case .change(let change) = try await ours.next().kind, change.type.hasPrefix("repository") { break }
            }
        }
    }
}
