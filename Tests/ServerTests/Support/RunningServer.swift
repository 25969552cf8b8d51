import API
import Base
import Client
import EventLoop
import FoundationEssentials
import Glibc
import OpenSSL
import Server
import Synchronization
import TestSupport
import Transport

/// A whole server in this process, on a free port, with a data directory of its own.
struct RunningServer: Sendable {
    let url: String
    let key: Secret<String>
    let loop: EventLoop
    let http: HTTPClient
    let client: BerthClient
    let data: String

    static let workerToken = "documented-worker-token"

    @discardableResult
    static func with<Value: Sendable>(
        data given: String? = nil,
        settings: [String: String] = [:],
        loopCount: Int = 3,
        _ body: @escaping @Sendable (RunningServer) async throws -> Value
    ) async throws -> Value {
        let data = given ?? "/tmp/berth-server-\(Hex.encode(SystemRandomness().bytes(6)))"
        defer { if given == nil { TemporaryDirectory.remove(data) } }
        var flags = ["data": data, "listen": "127.0.0.1:0", "workerToken": workerToken, "drainMs": "2000"]
        flags.merge(settings) { _, new in new }
        let configuration = try Configuration(file: nil, environment: [:], flags: flags)
        let loops = try (0..<loopCount).map { try EventLoop(name: "server-\($0)") }
        let own = try EventLoop(name: "test")
        for loop in loops + [own] { loop.start() }
        defer { for loop in loops + [own] { loop.stop() } }
        let started = Wakeup()
        let stopped = Wakeup()
        let address = Slot()
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                try await BerthServer.run(configuration, loops: loops, log: Log(sink: SilentSink(), time: own.time)) {
                    try? await stopped.wait(after: 0)
                } ready: { found in
                    address.set(found.url)
                    started.ring()
                }
                return nil
            }
            group.addTask {
                try await started.wait(after: 0, until: own.time.uptime + .seconds(20), time: own.time)
                defer { stopped.ring() }
                guard let url = address.value else { throw BerthError(.unavailable, "the server did not start") }
                let text = try String(contentsOf: URL(filePath: data + "/api-key"), encoding: .utf8)
                let key = Secret(text.trimmed)
                let server = RunningServer(
                    url: url,
                    key: key,
                    loop: own,
                    http: HTTPClient(loop: own),
                    client: try BerthClient(
                        url: url,
                        key: key,
                        trust: settings["tlsCertificate"].map { .authorities(file: $0) } ?? .system,
                        loop: own
                    ),
                    data: data
                )
                return try await body(server)
            }
            var result: Value?
            while let next = try await group.next() { result = next ?? result }
            guard let result else { throw BerthError(.internal, "the test's body gave nothing back") }
            return result
        }
    }

    /// One plain request; the answer's status, headers and body.
    func request(
        _ method: String,
        _ target: String,
        body: String? = nil,
        headers: HTTPHeaders = HTTPHeaders(),
        isAuthenticated: Bool = true
    ) async throws -> (status: Int, headers: HTTPHeaders, body: JSONValue?) {
        var headers = headers
        if isAuthenticated { headers.set("authorization", "Bearer \(key.reveal())") }
        if body != nil, !headers.contains("content-type") { headers.set("content-type", "application/json") }
        let answer = try await http.fetch(
            HTTPClientRequest(
                HTTPMethod(rawValue: method),
                try HTTPURL(url + target),
                headers: headers,
                body: body.map { .bytes(Array($0.utf8)) } ?? .none
            )
        )
        return (answer.status, answer.headers, try? JSONValue(parsing: answer.body))
    }
}

/// A value that one task sets and another reads.
final class Slot: Sendable {
    private let text = Mutex<String?>(nil)

    var value: String? { text.withLock { $0 } }
    func set(_ value: String) { text.withLock { $0 = value } }
}
