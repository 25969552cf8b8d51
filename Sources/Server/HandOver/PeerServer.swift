import API
import Base
import Domain
import EventLoop
import HandOvers
import OpenSSL
import Transport

/// The other server of a hand-over, asked with the key of whoever set it off.
struct PeerServer: Sendable {
    private let client: HTTPClient
    private let base: HTTPURL
    private let token: Secret<String>
    private let name: String

    /// Until the other side has made its environment, or a checkout of any size.
    private static let patience = Duration.seconds(3600)

    /// - Parameter trust: which servers to believe where no key is pinned.
    init(_ record: HandOverRecord, token: Secret<String>, trust: TLSTrust, loop: EventLoop) throws {
        guard let url = record.peerURL else { throw BerthError(.internal, "the hand-over knows no other server") }
        try self.init(
            HandOverTarget(name: record.peerName, url: url, pin: record.peerPin, token: token),
            trust: trust,
            loop: loop
        )
    }

    init(_ target: HandOverTarget, trust: TLSTrust, loop: EventLoop) throws {
        base = try Self.checked(target.url)
        name = target.name
        token = target.token
        var configuration = HTTPClientConfiguration()
        configuration.trust = try target.pin.map { .keys(try KeyPin.list($0)) } ?? trust
        configuration.headTimeout = Self.patience
        client = HTTPClient(loop: loop, configuration: configuration)
    }

    /// Keys and work travel: only TLS, or this machine.
    static func checked(_ text: String) throws(BerthError) -> HTTPURL {
        let url = try HTTPURL(text)
        guard text.lowercased().hasPrefix("https://") || url.endpoint.isLocal else {
            throw BerthError(
                .invalidValue,
                "\(text) would carry keys and work over the network unencrypted",
                field: "peer.url",
                remedy: "give the other server a certificate and write https://; or forward a local port to it by ssh"
            )
        }
        return url
    }

    func close() async { await client.close() }

    func tell(_ id: HandOverID, _ message: HandOverMessage) async throws -> HandOverReply {
        let response = try await send(.post, "/v1/hand-overs/\(id)/messages", .bytes(try JSONBody.encode(message)))
        return try JSONBody.decode(HandOverReply.self, from: try await response.body.collect(upTo: 64 << 20))
    }

    /// Brings the whole file there.
    func deliver(_ id: HandOverID, _ file: LocalFile, bytes: Int64, sha256: String) async throws {
        let body = HTTPClientRequest.Body.stream(length: Int(bytes)) { writer in
            var offset: Int64 = 0
            while case let piece = try file.read(at: offset, count: 1 << 17), !piece.isEmpty {
                try await writer.write(piece)
                offset += Int64(piece.count)
            }
        }
        _ = try await send(.put, "/v1/hand-overs/\(id)/archive?sha256=\(sha256)", body)
    }

    /// The other side's archive, as it comes.
    func archive(_ id: HandOverID) async throws -> IncomingBody {
        try await send(.get, "/v1/hand-overs/\(id)/archive", .none).body
    }

    private func send(_ method: HTTPMethod, _ target: String, _ body: HTTPClientRequest.Body) async throws
        -> HTTPClientResponse
    {
        var headers: HTTPHeaders = ["authorization": "Bearer \(token.reveal())"]
        switch body {
        case .bytes: headers.set("content-type", "application/json")
        case .stream: headers.set("content-type", "application/octet-stream")
        case .none: break
        }
        let url = HTTPURL(endpoint: base.endpoint, target: target)
        let response: HTTPClientResponse
        do {
            response = try await client.send(HTTPClientRequest(method, url, headers: headers, body: body))
        } catch let error as BerthError where error.code == .network || error.code == .timedOut {
            throw BerthError(
                .unavailable,
                "\(name) does not answer: \(error.message)",
                remedy: "bring it back; the hand-over then goes on by itself",
                isRetryable: true
            )
        }
        if (200..<300).contains(response.status) { return response }
        throw try await refusal(response)
    }

    private func refusal(_ response: HTTPClientResponse) async throws -> BerthError {
        let bytes = (try? await response.body.collect(upTo: 1 << 20)) ?? []
        guard let problem = try? JSONBody.decode(Problem.self, from: bytes) else {
            let isAway = [408, 429, 500, 502, 503, 504].contains(response.status)
            return BerthError(
                isAway ? .unavailable : .unsupported,
                "\(name) answered with status \(response.status)\(isAway ? "" : ", which no Berth server does")",
                remedy: isAway ? nil : "look at its address: 'berth remote ls'",
                isRetryable: isAway
            )
        }
        var error = problem.error
        switch error.code {
        case .unauthenticated:
            error.message = "\(name) does not accept the key: it has expired or was revoked"
            error.remedy = "log in again: 'berth login URL --name \(name)', then repeat the command"
        case .notFound where problem.detail.hasPrefix("there is no /"), .methodNotAllowed:
            error = BerthError(.unsupported, "\(name) knows no hand-overs", remedy: "update it to this version")
        default: error.message = "\(name): \(error.message)"
        }
        error.field = nil
        // A disk that is full stays so until somebody makes room: better to roll back than to wait.
        error.isRetryable = error.code != .diskFull && (error.isRetryable || response.status >= 500)
        return error
    }
}
