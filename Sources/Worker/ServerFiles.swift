internal import Base
internal import Domain
internal import EventLoop
internal import Glibc
internal import OpenSSL
internal import Transport
internal import WorkerProtocol

/// Files that go between this worker and its servers, beside the link: repositories in, new commits out.
struct ServerFiles: Sendable {
    let servers: ServerList
    let tokenFile: String
    let client: HTTPClient
    let time: any TimeSource
    let randomness: any Randomness

    /// How long a server may be away, as during its restart.
    private static let patience = Duration.seconds(120)

    /// While a person waits.
    private static let shortPatience = Duration.seconds(15)

    /// Brings an upload into `path`, whole and with the digest that was promised, or leaves nothing there.
    func fetch(_ upload: UploadReference, to path: String) async throws {
        do {
            try await reaching("the repository cannot be fetched from the server") { endpoint in
                let url = HTTPURL(endpoint: endpoint, target: "/v1/worker/uploads/\(upload.id)")
                try await fetch(upload.bytes, upload.sha256, from: url, to: path)
            }
        } catch {
            unlink(path)
            throw error
        }
    }

    /// Brings a packed workspace into the file at `path`.
    func fetch(_ id: HandOverID, _ bytes: Int64, _ sha256: String, to path: String) async throws {
        try await reaching("the workspace cannot be fetched from the server") { endpoint in
            let url = HTTPURL(endpoint: endpoint, target: "/v1/worker/hand-overs/\(id)/archive")
            try await fetch(bytes, sha256, from: url, to: path)
        }
    }

    private func fetch(_ bytes: Int64, _ sha256: String, from url: HTTPURL, to path: String) async throws {
        let response = try await client.send(HTTPClientRequest(.get, url, headers: headers))
        guard response.status == 200 else { throw try await Self.refusal(response) }
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Self.failure() }
        defer { close(file) }
        var digest = SHA256()
        while let chunk = try await response.body.next() {
            guard digest.byteCount + Int64(chunk.count) <= bytes else { throw Self.altered }
            digest.update(chunk)
            try Self.write(chunk, to: file)
        }
        guard digest.byteCount == bytes, Hex.encode(digest.digest) == sha256 else { throw Self.altered }
    }

    /// What programs of a workspace have; never kept here.
    func variables(of workspace: WorkspaceID) async throws -> [String: String] {
        var answer: [UInt8] = []
        let what = "the workspace's variables cannot be had from the server"
        try await reaching(what, within: Self.shortPatience) { endpoint in
            let url = HTTPURL(endpoint: endpoint, target: WorkspaceVariables.path(of: workspace))
            let response = try await client.send(HTTPClientRequest(.get, url, headers: headers))
            guard response.status == 200 else { throw try await Self.refusal(response) }
            answer = try await response.body.collect(upTo: 16 << 20)
        }
        return try JSONText.decode(WorkspaceVariables.self, from: answer).variables
    }

    /// Gives the server an attempt's new commits. Repeating it changes nothing.
    func give(_ path: String, _ mark: BundleMark, of key: AttemptKey) async throws {
        let target = "/v1/worker/executions/\(key.executionID)/bundle?attempt=\(key.attempt)&sha256=\(mark.sha256)"
        try await give(path, bytes: mark.bytes, to: target, "the new commits cannot be given to the server")
    }

    /// Gives the server a packed workspace. Repeating it changes nothing.
    func give(_ path: String, bytes: Int64, sha256: String, of id: HandOverID) async throws {
        let target = "/v1/worker/hand-overs/\(id)/archive?sha256=\(sha256)"
        try await give(path, bytes: bytes, to: target, "the workspace cannot be given to the server")
    }

    private func give(_ path: String, bytes: Int64, to target: String, _ what: String) async throws {
        try await reaching(what) { endpoint in
            let body = HTTPClientRequest.Body.stream(length: Int(bytes)) { writer in
                let file = open(path, O_RDONLY | O_CLOEXEC)
                guard file >= 0 else { throw Self.failure() }
                defer { close(file) }
                var buffer = [UInt8](repeating: 0, count: 1 << 16)
                while case let count = read(file, &buffer, buffer.count), count > 0 {
                    try await writer.write(Array(buffer[..<count]))
                }
            }
            let url = HTTPURL(endpoint: endpoint, target: target)
            let response = try await client.send(HTTPClientRequest(.put, url, headers: headers, body: body))
            guard response.status == 204 else { throw try await Self.refusal(response) }
        }
    }

    private var headers: HTTPHeaders {
        var headers = HTTPHeaders()
        headers.set("authorization", "Bearer \(EnvironmentLayout.contents(tokenFile).trimmed)")
        return headers
    }

    /// Tries one server after the other, again while none answers.
    private func reaching(
        _ what: String,
        within patience: Duration = ServerFiles.patience,
        _ body: (HTTPEndpoint) async throws -> Void
    ) async throws {
        var backoff = Backoff.workerReconnect
        let limit = time.uptime + patience
        var turn = 0
        while true {
            do {
                let targets = servers.all
                return try await body(try HTTPURL(targets[turn % targets.count]).endpoint)
            } catch let error as BerthError where error.isRetryable || error.code == .network {
                guard time.uptime < limit else {
                    let code: ErrorCode = error.code == .diskFull ? .diskFull : .network
                    throw BerthError(code, "\(what): \(error.message)", remedy: error.remedy, detail: error.detail)
                }
            }
            turn += 1
            try await time.wait(for: backoff.next(randomness))
        }
    }

    private static func refusal(_ response: HTTPClientResponse) async throws -> BerthError {
        let text = String(decoding: (try? await response.body.collect(upTo: 64 << 10)) ?? [], as: UTF8.self)
        let isAway = response.status >= 500
        switch response.status {
        case 404:
            return BerthError(
                .notFound,
                "the server has no such file for this worker any more",
                remedy: "run it again; uploads are kept for 24 hours",
                detail: text
            )
        case 507:
            return BerthError(
                .diskFull,
                "the server's disk is full",
                remedy: "make room on the server",
                detail: text,
                isRetryable: true
            )
        case 413: return BerthError(.tooLarge, "the server takes no file of this size", detail: text)
        default:
            return BerthError(
                isAway ? .unavailable : .conflict,
                "the server answered with status \(response.status)",
                detail: text,
                isRetryable: isAway
            )
        }
    }

    private static let altered = BerthError(
        .network,
        "what came is not what was uploaded",
        remedy: "run it again",
        isRetryable: true
    )

    private static func failure() -> BerthError {
        BerthError(
            errno == ENOSPC || errno == EDQUOT ? .diskFull : .internal,
            errno == ENOSPC || errno == EDQUOT
                ? "the environment's disk has no room for the repository" : "a file of the worker cannot be opened",
            remedy: errno == ENOSPC ? "free space in the environment or give it a larger disk" : nil,
            detail: "errno \(errno)"
        )
    }

    private static func write(_ bytes: [UInt8], to file: CInt) throws(BerthError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure() }
            sent += count
        }
    }
}
