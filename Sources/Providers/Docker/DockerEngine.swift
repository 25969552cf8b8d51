internal import Base
internal import EventLoop
internal import Glibc
internal import Transport

/// The Docker Engine's HTTP API (docs.docker.com/reference/api/engine) on its unix socket: the few calls that containers
/// of environments need. Errors keep the Engine's own words.
struct DockerEngine: Sendable {
    /// Engine 20.10 speaks it, and every later one still does unless it says so by its own minimum.
    static let version = "v1.41"

    let socket: String
    let client: HTTPClient

    init(socket: String, loop: EventLoop) {
        self.socket = socket
        var configuration = HTTPClientConfiguration()
        // A connection of its own for every call: one that an Engine closed meanwhile would make a call's fate unknown.
        configuration.maximumIdlePerEndpoint = 0
        configuration.decompresses = false
        client = HTTPClient(loop: loop, configuration: configuration)
    }

    struct Answer: Sendable {
        var status: Int
        var body: JSONValue
        var message: String { body["message"]?.string ?? body.text }
    }

    /// Sends a call and takes any status for an answer. `path` is below the version.
    /// Throws `unavailable` when no Engine answers, `forbidden` when it may not be asked, `timedOut`.
    func ask(
        _ method: HTTPMethod,
        _ path: String,
        _ body: JSONValue? = nil,
        within timeout: Duration = .seconds(30)
    ) async throws -> Answer {
        var request = HTTPClientRequest(
            method,
            HTTPURL(endpoint: .unix(socket), target: "/\(Self.version)\(path)"),
            headTimeout: timeout,
            timeout: timeout
        )
        if let body {
            request.headers.set("content-type", "application/json")
            request.body = .bytes(Array(body.text.utf8))
        }
        let answer: (status: Int, headers: HTTPHeaders, body: [UInt8])
        do {
            answer = try await client.fetch(request)
        } catch let error as BerthError {
            throw unreachable(error, method, path)
        }
        guard !answer.body.isEmpty else { return Answer(status: answer.status, body: .null) }
        guard let value = try? JSONValue(parsing: answer.body) else {
            let text = String(decoding: answer.body.prefix(500), as: UTF8.self).trimmed
            guard answer.status < 300 else { return Answer(status: answer.status, body: .string(text)) }
            throw BerthError(
                .protocolViolation,
                "what answers at \(socket) is no Docker Engine",
                remedy: "set dockerSocket to the Engine's socket",
                detail: text
            )
        }
        return Answer(status: answer.status, body: value)
    }

    /// As ``ask(_:_:_:within:)``, but refuses every status from 400 on, except those in `accepting`.
    @discardableResult
    func call(
        _ method: HTTPMethod,
        _ path: String,
        _ body: JSONValue? = nil,
        within timeout: Duration = .seconds(30),
        accepting: Set<Int> = [],
        to verb: String
    ) async throws -> Answer {
        let answer = try await ask(method, path, body, within: timeout)
        guard answer.status < 400 || accepting.contains(answer.status) else { throw Self.refusal(answer, to: verb) }
        return answer
    }

    // MARK: - Containers

    /// nil where there is none of this name.
    func container(_ name: String) async throws -> DockerContainer? {
        let answer = try await call(.get, "/containers/\(name)/json", accepting: [404], to: "look at a container")
        return answer.status == 404 ? nil : try DockerContainer(answer.body)
    }

    /// What carries all of `labels`, each `key=value`.
    func containers(labels: [String]) async throws -> [JSONValue] {
        let filters = JSONValue.object(["label": .array(labels.map { .string($0) })])
        let query = "all=1&filters=\(PercentEncoding.encode(filters.text))"
        return try await call(.get, "/containers/json?\(query)", to: "list containers").body.array ?? []
    }

    /// Returns when the Engine has forgotten the container; one that does not exist is already so.
    func remove(_ name: String, time: any TimeSource) async throws {
        let deadline = time.uptime + .seconds(60)
        while true {
            let answer = try await ask(.delete, "/containers/\(name)?force=1&v=1", within: .seconds(60))
            if answer.status < 300 || answer.status == 404 { return }
            // 409: somebody else is removing it.
            guard answer.status == 409, time.uptime < deadline else {
                throw Self.refusal(answer, to: "remove a container")
            }
            try await time.wait(for: .milliseconds(20))
        }
    }

    /// nil where the Engine has no such image.
    func image(_ name: String) async throws -> JSONValue? {
        let answer = try await call(
            .get,
            "/images/\(PercentEncoding.encode(name))/json",
            accepting: [404],
            to: "look at an image"
        )
        return answer.status == 404 ? nil : answer.body
    }
}
