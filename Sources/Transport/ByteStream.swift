internal import Base
internal import EventLoop
internal import OpenSSL

protocol ByteStreamSink: AnyObject {
    /// `bytes` are valid only during the call.
    func streamReceived(_ bytes: UnsafeRawBufferPointer)
    func streamInputEnded()
    /// Bytes that had to wait were taken by the kernel.
    func streamProgressed()
    /// Once, and last.
    func streamClosed(_ error: BerthError?)
}

extension ByteStreamSink {
    func streamProgressed() {}
}

/// A socket with what lies between it and the protocol: nothing, or TLS.
///
/// `@unchecked Sendable`: touched only on its loop.
final class ByteStream: @unchecked Sendable {
    let socket: Socket
    /// Kept while open, let go at the end: that breaks the cycle with the connection.
    var sink: (any ByteStreamSink)?
    let tls: TLSSession?
    /// What waits for the end of the handshake or of this turn, so that small writes share a record.
    var plain: [UInt8] = []
    /// From here on bytes are encrypted from where they lie, not gathered first: a record carries so many.
    private static let wholeRecord = 16 * 1024
    private var isUnflushed = false
    private var isClosing = false
    private var hasHeard = false
    private var handshakeWaiter: Waiter<Void>?

    init(_ socket: Socket, tls: TLSSession? = nil) {
        self.socket = socket
        self.tls = tls
        socket.delegate = self
        tls?.output = self
    }

    var loop: EventLoop { socket.loop }
    var isOpen: Bool { socket.isOpen }
    var isSecure: Bool { tls != nil }
    /// The peer has begun a TLS handshake, or something else where one is expected.
    var isShakingHands: Bool { hasHeard && tls?.isReady == false }
    var unsentBytes: Int { plain.count + socket.unsentBytes }
    var isCongested: Bool { unsentBytes > Socket.highWater }
    /// Since when the peer has not taken all that was sent; nil while it keeps up.
    var blockedSince: Uptime? { socket.blockedSince }
    var isBlocked: Bool { blockedSince != nil }
    /// What the peer's kernel has not taken yet, here and in our own.
    var undeliveredBytes: Int { unsentBytes + socket.queuedInKernel }

    // MARK: Out

    func write(_ bytes: UnsafeRawBufferPointer) {
        guard tls != nil else { return socket.write(bytes) }
        guard isOpen, !isClosing else { return }
        if bytes.count >= Self.wholeRecord, tls?.isReady == true {
            encryptWaiting()
            return encrypt(bytes)
        }
        plain.append(contentsOf: bytes)
        if plain.count >= 4 * Self.wholeRecord { encryptWaiting() }
        guard !isUnflushed else { return }
        isUnflushed = true
        loop.flushLater(self)
    }

    /// As ``write(_:)``, without waiting for the end of the turn where nothing lies in between.
    func writeThrough(_ bytes: UnsafeRawBufferPointer) {
        if tls == nil { socket.writeThrough(bytes) } else { write(bytes) }
    }

    func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write($0) } }
    func write(_ text: StaticString) { text.withUTF8Buffer { write(UnsafeRawBufferPointer($0)) } }

    func whenDrained(_ waiter: Waiter<Void>) {
        encryptWaiting()
        socket.whenDrained(waiter)
    }

    /// Returns when no more than `room` bytes are unsent.
    func drained(to room: Int = Socket.highWater) async throws {
        if loop.isCurrent {
            encryptWaiting()
            return try await socket.drained(to: room)
        }
        try await loop.suspend { waiter in
            self.encryptWaiting()
            self.socket.whenDrained(waiter, to: room)
        }
    }

    /// Offers the peer what was written in this turn of the loop, before its end.
    func flushNow() {
        encryptWaiting()
        socket.flush()
    }

    private func encryptWaiting() {
        guard let tls, tls.isReady, !plain.isEmpty, isOpen else { return }
        let bytes = plain
        plain = []
        bytes.withUnsafeBytes { encrypt($0) }
    }

    /// Broken sessions are met again by the next flush, so that no owner is told of it in the middle of its own call.
    private func encrypt(_ bytes: UnsafeRawBufferPointer) {
        do {
            try tls?.send(bytes)
        } catch {
            let error = BerthError(wrapping: error)
            loop.post { [self] in socket.close(error) }
        }
    }

    // MARK: In

    func resumeReading() { socket.resumeReading() }
    func pauseReading() { socket.pauseReading() }

    /// Called while bytes are received: nothing needs to be done before `count` more have come. See ``Socket/expect(_:)``.
    func expect(_ count: Int) { socket.expect(tls?.wireBytes(for: count) ?? count) }

    /// A client's handshake, until the server is known to be the right one.
    func handshake(until deadline: Uptime) async throws {
        guard let tls else { return }
        try tls.start()
        socket.resumeReading()
        try await loop.suspend(until: deadline, what: "the TLS handshake") { self.whenHandshaken($0) }
        socket.pauseReading()
    }

    private func whenHandshaken(_ waiter: Waiter<Void>) {
        if tls?.isReady == true {
            waiter.resume()
        } else if isOpen {
            handshakeWaiter = waiter
        } else {
            waiter.resume(throwing: Socket.closedError)
        }
    }

    // MARK: The end

    func closeAfterFlush() {
        encryptWaiting()
        guard isOpen else { return }
        isClosing = true
        tls?.close()
        socket.closeAfterFlush()
    }

    /// Sends what waits and says that no more comes; reading goes on.
    func endOutput() {
        encryptWaiting()
        guard isOpen, !isClosing else { return }
        isClosing = true
        tls?.close()
        socket.endOutput()
    }

    func close(_ error: BerthError? = nil) { socket.close(error) }
}

extension ByteStream: LoopFlushable {
    func flush() {
        isUnflushed = false
        encryptWaiting()
    }
}

extension ByteStream: TLSOutput {
    func tlsSends(_ bytes: UnsafeRawBufferPointer) { socket.write(bytes) }
}

extension ByteStream: SocketDelegate {
    func socketReceived(_ bytes: UnsafeRawBufferPointer) {
        guard let tls else {
            sink?.streamReceived(bytes)
            return
        }
        if !hasHeard {
            hasHeard = true
            if tls.isServer, Self.isPlainHTTP(bytes) { return refusePlainHTTP() }
        }
        let wasReady = tls.isReady
        do {
            try tls.receive(bytes, in: loop.plainBuffer) { if isOpen { sink?.streamReceived($0) } }
        } catch {
            // The alert that tells the peer why still goes out.
            fail(error)
            return
        }
        guard isOpen else { return }
        if !wasReady, tls.isReady {
            handshakeWaiter?.resume()
            handshakeWaiter = nil
            encryptWaiting()
        }
        if tls.hasPeerClosed {
            socket.pauseReading()
            sink?.streamInputEnded()
        }
    }

    /// A request begins with a capital letter, a TLS record with a number below 32.
    private static func isPlainHTTP(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.first.map { (0x41...0x5A).contains($0) } ?? false
    }

    private func refusePlainHTTP() {
        let text = "this port speaks TLS: use https:// or wss://\n"
        let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
        Array("\(head)content-length: \(text.utf8.count)\r\nconnection: close\r\n\r\n\(text)".utf8)
            .withUnsafeBytes { socket.write($0) }
        fail(BerthError(.protocolViolation, "plain HTTP on a TLS port"))
    }

    private func fail(_ error: BerthError) {
        handshakeWaiter?.resume(throwing: error)
        handshakeWaiter = nil
        if let sink {
            self.sink = nil
            sink.streamClosed(error)
        }
        socket.closeAfterFlush()
    }

    func socketInputEnded() {
        guard let tls, !tls.hasPeerClosed else {
            sink?.streamInputEnded()
            return
        }
        // Without TLS's own goodbye the end may be an attacker's: nothing that came in may pass for complete.
        socket.close(BerthError(.network, "the peer cut the TLS connection", isRetryable: true))
    }

    func socketProgressed() { sink?.streamProgressed() }

    func socketClosed(_ error: BerthError?) {
        handshakeWaiter?.resume(throwing: error ?? Socket.closedError)
        handshakeWaiter = nil
        plain = []
        let sink = sink
        self.sink = nil
        sink?.streamClosed(error)
    }
}
