import API
import Base
import Crypto
import Domain
import OpenSSL
import Relay
import Replicas
import Transport

/// Sends a request on to the server that alone can answer it: the one that a worker is connected to.
struct ReplicaForward: Sendable {
    let replicas: ReplicaService
    let seal: MessageSeal
    /// Which of the other servers to believe on `https`.
    let trust: TLSTrust
    let time: any TimeSource

    func principal(_ text: String, _ request: HTTPRequest) throws -> Principal {
        let target = request.rawQuery.isEmpty ? request.path : "\(request.path)?\(request.rawQuery)"
        return try ForwardedCaller.principal(text, request.method, target, at: time.now, seal)
    }

    /// The WebSocket that the request asks for, as `replica` serves it at `target`; nil where that is this server. Throws what the
    /// other server refused it with, and `unavailable` when that is gone.
    func webSocket(_ context: RequestContext, at target: String, of replica: ReplicaID?) async throws -> HTTPResponse? {
        let request = context.request
        guard let replica, let address = try await address(context, of: replica) else { return nil }
        var configuration = HTTPClientConfiguration()
        configuration.trust = trust
        let client = HTTPClient(loop: request.loop, configuration: configuration)
        var headers = HTTPHeaders()
        let word = try ForwardedCaller.text(try context.principal, request.method, target, at: time.now, seal)
        headers.set(ForwardedCaller.header, word)
        var url = try HTTPURL(address)
        url.target = target
        let far: WebSocket
        do {
            far = try await client.webSocket(
                url,
                headers: headers,
                configuration: OpenChannel.webSocket,
                refused: { throw Refused(error: try await Self.refusal($0)) }
            )
        } catch let refused as Refused {
            await client.close()
            throw refused.error
        } catch let error as BerthError where error.code == .network || error.code == .timedOut {
            await client.close()
            throw Self.silent(url, error)
        }
        let held = FarSocket(far)
        return HTTPResponse(
            status: 101,
            body: .webSocket(subprotocol: nil, configuration: OpenChannel.webSocket) { near in
                await Self.join(near, held.socket)
                await client.close()
            }
        )
    }

    /// Where another server is asked; nil where that is this one.
    func address(_ context: RequestContext, of replica: ReplicaID) async throws -> String? {
        // What was sent on once is not sent on again: the worker has moved meanwhile.
        guard replica != replicas.seat.id, !context.request.headers.contains(ForwardedCaller.header) else { return nil }
        guard let address = try await replicas.address(of: replica) else {
            throw BerthError(
                .unavailable,
                "the server that its worker was connected to is gone",
                remedy: "its worker connects to another one within a minute; try again",
                isRetryable: true
            )
        }
        return address
    }

    static func silent(_ url: HTTPURL, _ error: BerthError) -> BerthError {
        BerthError(
            .unavailable,
            "the server that its worker is connected to does not answer",
            remedy: "let the servers reach each other; see the setting 'advertise'",
            detail: "\(url.endpoint): \(error.message)",
            isRetryable: true
        )
    }

    /// Closed when the caller does not come for it.
    private final class FarSocket: Sendable {
        let socket: WebSocket

        init(_ socket: WebSocket) { self.socket = socket }

        deinit { socket.close(code: .goingAway, reason: "the other side is gone") }
    }

    /// The other server's own answer, whatever its code.
    private struct Refused: Error {
        var error: BerthError
    }

    /// Passes messages both ways until both have ended.
    private static func join(_ near: WebSocket, _ far: WebSocket) async {
        await withDiscardingTaskGroup { group in
            group.addTask { await pass(near, to: far) }
            group.addTask { await pass(far, to: near) }
        }
    }

    private static func pass(_ source: WebSocket, to target: WebSocket) async {
        do {
            while let message = try await source.receive() {
                switch message {
                case .text(let text): try await target.send(text: text)
                case .binary(let bytes): try await target.send(binary: bytes)
                }
            }
            guard case .closed(let code?, let reason) = try await source.ended(), code.mayBeSent else {
                return target.close(code: .goingAway, reason: "the other side is gone")
            }
            target.close(code: code, reason: reason)
        } catch {
            target.close(code: .goingAway, reason: "the other side is gone")
            source.close(code: .goingAway, reason: "the other side is gone")
        }
    }

    private static func refusal(_ response: HTTPClientResponse) async throws -> BerthError {
        let bytes = try await response.body.collect(upTo: 1 << 20)
        if let problem = try? JSONBody.decode(Problem.self, from: bytes) { return problem.error }
        return BerthError(
            .unavailable,
            "the server that its worker is connected to answered with status \(response.status)",
            isRetryable: true
        )
    }
}
