import API
import Base
public import Domain
import EventLoop
import Transport

/// A viewer's connection to a terminal: what it shows, and what is typed. A broken connection is taken up again at the
/// next byte, through a restart of the server or of the worker; what was typed meanwhile is refused, never sent twice.
public actor TerminalConnection {
    private let client: BerthClient
    private let environment: String
    private let terminal: String
    private let isReadOnly: Bool
    /// The next byte wanted; negative: so many before the end.
    public private(set) var offset: Int64
    private var size: TerminalSize?
    private var socket: WebSocket?
    private var parser = TerminalFrame.Parser()
    private var backoff = Backoff(first: .milliseconds(50), limit: .seconds(5))
    private var failingSince: Uptime?

    /// How long a server or a worker may be away before following gives up.
    private static let patience = Duration.seconds(300)

    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        client.loop.serialExecutor.asUnownedSerialExecutor()
    }

    /// - Parameters:
    ///   - environment: name or id.
    ///   - terminal: id, or the name of one that runs.
    ///   - offset: the first byte wanted; negative: so many before the end.
    public init(
        _ client: BerthClient,
        environment: String,
        terminal: String,
        from offset: Int64,
        size: TerminalSize?,
        isReadOnly: Bool = false
    ) {
        self.client = client
        self.environment = environment
        self.terminal = terminal
        self.offset = offset
        self.size = size
        self.isReadOnly = isReadOnly
    }

    /// The next frame of the terminal; nil after its end. Throws what the server refuses.
    /// - Parameter whenAway: called once for each time that the connection was lost.
    public func next(whenAway: @Sendable () -> Void) async throws -> TerminalFrame? {
        while true {
            if let frame = try parser.next() {
                switch frame {
                case .data(let start, let bytes):
                    offset = start + Int64(bytes.count)
                case .gap(let range): offset = range.upperBound
                default: break
                }
                return frame
            }
            do {
                let socket = try await connected()
                switch try await socket.receive() {
                case .binary(let bytes)?:
                    failingSince = nil
                    backoff.reset()
                    // An empty message says that nothing follows.
                    if bytes.isEmpty { return nil }
                    parser.append(bytes)
                case .text?: throw BerthError(.protocolViolation, "a terminal spoke text")
                case nil:
                    guard case .closed(let code, let reason) = try await socket.ended(), code == .badGateway else {
                        throw BerthError(.unavailable, "the connection was lost", isRetryable: true)
                    }
                    throw BerthError(.network, reason)
                }
            } catch {
                try await recover(from: BerthError(wrapping: error), whenAway)
            }
        }
    }

    private func connected() async throws -> WebSocket {
        if let socket { return socket }
        parser = TerminalFrame.Parser()
        var query = [("offset", "\(offset)")]
        if let size { query += [("columns", "\(size.columns)"), ("rows", "\(size.rows)")] }
        if isReadOnly { query.append(("readOnly", "true")) }
        let socket = try await client.webSocket(
            .terminalAttach,
            ["environmentId": environment, "terminalId": terminal],
            query
        )
        self.socket = socket
        return socket
    }

    private func recover(from error: BerthError, _ whenAway: @Sendable () -> Void) async throws {
        try Task.checkCancellation()
        socket?.close(code: .goingAway)
        socket = nil
        // Before the first byte nothing is known that could be taken up again.
        let isTransient = error.isRetryable || error.code == .unavailable || error.code == .network
        guard isTransient, error.code != .notFound else { throw error }
        let now = client.loop.time.uptime
        if failingSince == nil {
            failingSince = now
            whenAway()
        }
        guard now < (failingSince ?? now) + Self.patience else { throw error }
        try await client.loop.time.wait(for: backoff.next(client.randomness))
    }

    /// Returns false when there is no connection: the bytes are not kept.
    public func type(_ bytes: [UInt8]) async throws -> Bool {
        guard let socket, !isReadOnly else { return false }
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(TerminalFrame.maximumPayload)
            rest = rest.dropFirst(piece.count)
            guard try await socket.send(binary: TerminalFrame.input(piece).encoded()) else { return false }
        }
        return true
    }

    public func resize(_ size: TerminalSize) async {
        self.size = size
        _ = try? await socket?.send(binary: TerminalFrame.size(size).encoded(byViewer: true))
    }

    public func close() { socket?.close() }
}

extension BerthClient {
    /// Every byte of a terminal that is kept from `offset` on, frame by frame.
    public func terminalBytes(
        environment: String,
        terminal: String,
        from offset: Int64 = 0,
        _ take: (TerminalFrame) async throws -> Void
    ) async throws {
        let socket = try await webSocket(
            .terminalAttach,
            ["environmentId": environment, "terminalId": terminal],
            [("offset", "\(offset)"), ("snapshot", "true")]
        )
        var parser = TerminalFrame.Parser()
        while case .binary(let bytes)? = try await socket.receive(), !bytes.isEmpty {
            parser.append(bytes)
            while let frame = try parser.next() { try await take(frame) }
        }
        socket.close()
    }
}
