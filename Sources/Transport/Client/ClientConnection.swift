internal import Base
internal import EventLoop

/// One connection of a client: one request at a time.
///
/// `@unchecked Sendable`: touched only on its loop.
final class ClientConnection: @unchecked Sendable {
    enum Phase {
        case idle  // → awaitingHead, closed
        case awaitingHead(Expectation, Waiter<HTTPClientResponse>)  // → body, upgraded, closed
        case body(BodyBuffer, keepsAlive: Bool)  // → idle, closed
        case upgraded  // the stream belongs to someone else
        case closed(BerthError?)
    }

    struct Expectation {
        let isHead: Bool
        let asksForUpgrade: Bool
        let asksForTunnel: Bool
        /// A 200 whose body has no length will do instead of a 101.
        let takesRawStream: Bool
        let url: HTTPURL
    }

    let stream: ByteStream
    let endpoint: HTTPEndpoint
    private let configuration: HTTPClientConfiguration
    private var phase = Phase.idle
    private var parser: HTTPParser?
    private var timer: LoopTimer?
    /// Of the present request as a whole.
    private var deadline: Uptime?
    private var isSendingBody = false
    /// What followed the head that accepted an upgrade.
    private var early: [UInt8] = []
    /// Whether any byte of the current response has come in.
    private(set) var hasHeard = false
    /// Told when the connection may take another request, or is of no more use.
    var onIdle: (() -> Void)?
    var onClosed: (() -> Void)?

    init(stream: ByteStream, endpoint: HTTPEndpoint, configuration: HTTPClientConfiguration) {
        self.stream = stream
        self.endpoint = endpoint
        self.configuration = configuration
        parser = HTTPParser(.response, limits: .init(headBytes: configuration.maximumHeadBytes), delegate: self)
        timer = LoopTimer(loop: stream.loop) { [unowned self] in deadlinePassed() }
        stream.sink = self
        stream.socket.writeStallLimit = configuration.writeTimeout
        stream.resumeReading()
    }

    var isIdle: Bool {
        if case .idle = phase { stream.isOpen } else { false }
    }

    var isUpgraded: Bool {
        if case .upgraded = phase { true } else { false }
    }

    // MARK: Requests

    /// Sends the request and returns with the head of its response. `deadline` holds to the end of the body.
    func send(
        _ request: HTTPClientRequest,
        takingRawStream: Bool = false,
        until deadline: Uptime? = nil
    ) async throws -> HTTPClientResponse {
        hasHeard = false
        self.deadline = deadline
        let expectation = Expectation(
            isHead: request.method == .head,
            asksForUpgrade: request.headers.contains("upgrade"),
            asksForTunnel: request.method == .connect,
            takesRawStream: takingRawStream,
            url: request.url
        )
        writeHead(request)
        let loop = stream.loop
        let headTimeout = request.headTimeout ?? configuration.headTimeout
        guard case .stream(_, let produce) = request.body else {
            if case .bytes(let bytes) = request.body { stream.write(bytes) }
            return try await response(expectation, within: headTimeout)
        }
        // The server may answer, and so end the exchange, before the body is sent.
        let writer = BodyWriter(stream: stream, framing: Self.framing(request.body))
        isSendingBody = true
        let upload = loop.spawn { [self] in
            do {
                try await produce(writer)
                try writer.finish()
                isSendingBody = false
                if case .awaitingHead = phase { setTimer(headTimeout) }
            } catch {
                close(BerthError(wrapping: error))
            }
        }
        do {
            return try await response(expectation, within: nil)
        } catch {
            upload.cancel()
            throw error
        }
    }

    private func response(_ expectation: Expectation, within limit: Duration?) async throws -> HTTPClientResponse {
        setTimer(limit)
        do {
            return try await stream.loop.suspend { [self] waiter in
                switch phase {
                case .idle: phase = .awaitingHead(expectation, waiter)
                case .closed(let error): waiter.resume(throwing: error ?? Socket.closedError)
                default: waiter.resume(throwing: BerthError(.internal, "the connection is in use"))
                }
            }
        } catch {
            close(BerthError(wrapping: error))
            throw error
        }
    }

    private static func framing(_ body: HTTPClientRequest.Body) -> BodyWriter.Framing {
        switch body {
        case .none: .none
        case .bytes(let bytes): .length(remaining: bytes.count)
        case .stream(let length?, _): .length(remaining: length)
        case .stream(nil, _): .chunked
        }
    }

    private func writeHead(_ request: HTTPClientRequest) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256)
        bytes.append(contentsOf: "\(request.method.rawValue) \(request.url.target) HTTP/1.1\r\n".utf8)
        if !request.headers.contains("host") {
            bytes.append(contentsOf: "host: \(request.url.endpoint.authority)\r\n".utf8)
        }
        var headers = request.headers
        if configuration.decompresses, !headers.contains("accept-encoding"), !headers.contains("range"),
            request.method != .connect
        {
            headers.add("accept-encoding", "gzip")
        }
        headers.remove("content-length")
        headers.remove("transfer-encoding")
        for field in headers.fields { ResponseHead.append(headers, field, to: &bytes) }
        switch Self.framing(request.body) {
        case .length(let count): bytes.append(contentsOf: "content-length: \(count)\r\n".utf8)
        case .chunked: bytes.append(contentsOf: "transfer-encoding: chunked\r\n".utf8)
        case .none, .untilClose:
            if [.post, .put, .patch].contains(request.method) {
                bytes.append(contentsOf: "content-length: 0\r\n".utf8)
            }
        }
        bytes.append(contentsOf: "\r\n".utf8)
        stream.write(bytes)
    }

    /// The stream of an accepted upgrade and what came in behind the head. The connection is then out of the game.
    func takeStream() -> (stream: ByteStream, early: [UInt8]) {
        timer?.close()
        timer = nil
        parser = nil
        onIdle = nil
        stream.sink = nil
        return (stream, early)
    }

    // MARK: The end

    func close(_ error: BerthError? = nil) { stream.close(error) }

    /// To the end of a phase, but not beyond the end of the whole; nil: only that.
    private func setTimer(_ phase: Duration?) {
        guard let phase else {
            timer?.set(deadline)
            return
        }
        let end = stream.loop.now + phase
        timer?.set(min(end, deadline ?? end))
    }

    private func deadlinePassed() {
        if let deadline, deadline <= stream.loop.now {
            return close(BerthError(.timedOut, "\(endpoint) took longer than the request was given"))
        }
        switch phase {
        case .awaitingHead:
            close(BerthError(.timedOut, "\(endpoint) did not answer in time", isRetryable: true))
        case .body:
            close(BerthError(.timedOut, "the response of \(endpoint) stopped half-way", isRetryable: true))
        case .idle: close()
        case .upgraded, .closed: return
        }
    }

    private func becomeIdle() {
        guard !isSendingBody, stream.isOpen else { return close() }
        phase = .idle
        deadline = nil
        setTimer(configuration.idleTimeout)
        parser?.resume()
        stream.resumeReading()
        onIdle?()
    }
}

extension ClientConnection: ByteStreamSink {
    func streamReceived(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while !rest.isEmpty {
            switch phase {
            // A server that speaks unasked is of no use.
            case .idle: return close(BerthError(.protocolViolation, "\(endpoint) answered without a question"))
            case .upgraded:
                early.append(contentsOf: rest)
                return
            case .closed: return
            case .awaitingHead, .body: break
            }
            guard let parser else { return }
            hasHeard = true
            switch parser.execute(rest) {
            case .needsMore: return
            case .messageEnded(let consumed):
                rest = UnsafeRawBufferPointer(rebasing: rest[consumed...])
                messageEnded()
            case .failed(_, let reason):
                return close(BerthError(.protocolViolation, "\(endpoint) sent a malformed response: \(reason)"))
            }
        }
    }

    private func messageEnded() {
        switch phase {
        case .awaitingHead: parser?.resume()  // an interim answer (1xx)
        case .body(let body, let keepsAlive):
            body.finish()
            if keepsAlive { becomeIdle() } else { close() }
        case .idle, .upgraded, .closed: return
        }
    }

    func streamInputEnded() {
        if case .body(let body, _) = phase, parser?.finish() == true { body.finish() }
        close(BerthError(.network, "\(endpoint) closed the connection", isRetryable: true))
    }

    func streamClosed(_ error: BerthError?) {
        let before = phase
        phase = .closed(error)
        let reason = error ?? Socket.closedError
        switch before {
        case .awaitingHead(_, let waiter): waiter.resume(throwing: reason)
        case .body(let body, _): body.fail(reason)
        case .idle, .upgraded, .closed: break
        }
        timer?.close()
        timer = nil
        let onClosed = onClosed
        self.onClosed = nil
        onIdle = nil
        onClosed?()
    }
}

extension ClientConnection: HTTPParserDelegate {
    func parserReadHead(_ head: HTTPHead) -> HTTPParser.Verdict {
        guard case .awaitingHead(let expectation, let waiter) = phase else { return .refuse(status: 400) }
        let isInterim = head.status < 200 && head.status != 101
        if isInterim { return .noBody }
        let body = BodyBuffer(loop: stream.loop)
        var headers = head.headers
        let decoder = expectation.isHead ? nil : decoder(&headers)
        let response = HTTPClientResponse(
            status: head.status,
            headers: headers,
            body: IncomingBody(body, decoder: decoder),
            url: expectation.url
        )
        let isTunnel = expectation.asksForTunnel && (200..<300).contains(head.status)
        let isRaw =
            expectation.takesRawStream && head.status == 200 && head.contentLength == nil && !head.isChunked
        if head.status == 101 || isTunnel || isRaw {
            guard expectation.asksForUpgrade || isTunnel else { return .refuse(status: 400) }
            phase = .upgraded
            stream.pauseReading()
            deadline = nil
            timer?.set(nil)
            body.finish()
            if !waiter.resume(returning: response) { close() }
            return isTunnel || isRaw ? .noBody : .proceed
        }
        phase = .body(body, keepsAlive: head.keepsAlive)
        body.onDemand { [unowned self] in bodyWanted() }
        body.onAbandoned { [unowned self] in close() }
        setTimer(configuration.bodyTimeout)
        waiter.resume(returning: response)
        return expectation.isHead ? .noBody : .notUpgraded
    }

    /// What expands the body; the fields that told of the compression are then gone.
    private func decoder(_ headers: inout HTTPHeaders) -> BodyDecoder? {
        guard configuration.decompresses, ["gzip", "x-gzip"].contains(headers["content-encoding"]?.lowercased()),
            let decoder = try? BodyDecoder()
        else { return nil }
        headers.remove("content-encoding")
        headers.remove("content-length")
        return decoder
    }

    func parserReadBody(_ bytes: UnsafeRawBufferPointer) -> HTTPParser.Verdict {
        guard case .body(let body, _) = phase else { return .refuse(status: 400) }
        body.append(bytes)
        if body.isFull {
            stream.pauseReading()
            setTimer(nil)
        } else {
            setTimer(configuration.bodyTimeout)
        }
        return .proceed
    }

    func parserReadMessage() {}

    private func bodyWanted() {
        guard case .body = phase else { return }
        setTimer(configuration.bodyTimeout)
        stream.resumeReading()
    }
}
