public import Base
internal import CUV
internal import Glibc

/// What a socket tells its owner, always on its loop.
public protocol SocketDelegate: AnyObject {
    /// `bytes` are valid only during the call.
    func socketReceived(_ bytes: UnsafeRawBufferPointer)
    /// The peer sends no more; writing may still work.
    func socketInputEnded()
    /// Once, and last. nil after an orderly end.
    func socketClosed(_ error: BerthError?)
}

/// A connected stream socket (TCP or unix). Writes of one turn of the loop leave in one system call; while the kernel
/// takes no more they wait in memory, and ``drained()`` is how a producer slows down.
///
/// `@unchecked Sendable`: everything is touched only on `loop`, which the methods check.
public final class Socket: @unchecked Sendable {
    public let loop: EventLoop
    /// Kept while open, let go at the end: that breaks the cycle with its owner.
    public var delegate: (any SocketDelegate)?
    /// Longest time the kernel may take no byte while some wait; then the socket closes with `timedOut`. nil: for ever.
    public var writeStallLimit: Duration?
    /// When bytes last came in.
    public private(set) var lastReceived: Uptime

    private var descriptor: CInt
    private var handle: PollHandle?
    private var output = OutputBuffer()
    private var wantsInput = false
    private var inputEnded = false
    private var isUnflushed = false
    private var isBlocked = false
    private var ending = Ending.none
    private var drainWaiters: [Waiter<Void>] = []
    private var timer: LoopTimer?

    private enum Ending {
        case none  // → afterFlush, outputAfterFlush
        case outputAfterFlush  // what is queued goes out, then our side is shut → outputEnded, afterFlush
        case outputEnded  // our side is shut, reading goes on → lingering
        case afterFlush  // what is queued goes out first → lingering
        case lingering  // our side is shut, the peer's rest is read and dropped so that it can read our last words
    }

    /// A producer waits above this many unsent bytes, until half of it.
    public static let highWater = 256 * 1024
    private static let lingerTime = Duration.seconds(2)

    /// Takes over the connected `descriptor` and closes it at the end.
    public init(adopting descriptor: CInt, loop: EventLoop) throws(BerthError) {
        loop.preconditionCurrent()
        self.loop = loop
        self.descriptor = descriptor
        lastReceived = loop.now
        do throws(BerthError) {
            handle = try PollHandle(loop: loop, descriptor: descriptor, target: self)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }

    public var isOpen: Bool { handle != nil }
    public var hasInputEnded: Bool { inputEnded }
    public var unsentBytes: Int { output.count }

    // MARK: In

    public func resumeReading() {
        guard !wantsInput else { return }
        wantsInput = true
        updateWatch()
    }

    public func pauseReading() {
        guard wantsInput, ending != .lingering else { return }
        wantsInput = false
        updateWatch()
    }

    private func updateWatch() {
        handle?.watch(reading: wantsInput && !inputEnded, writing: isBlocked)
    }

    private func readOnce() {
        let buffer = loop.readBuffer
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        if count > 0 {
            lastReceived = loop.now
            if ending != .lingering { delegate?.socketReceived(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
        } else if count == 0 {
            inputEnded = true
            updateWatch()
            if ending == .lingering { return end(nil) }
            delegate?.socketInputEnded()
        } else if errno != EAGAIN, errno != EINTR {
            let reason = errno
            let isOver = ending == .afterFlush || ending == .lingering
            end(isOver ? nil : BerthError(errno: reason, "the connection broke"))
        }
    }

    // MARK: Out

    public func write(_ bytes: UnsafeRawBufferPointer) {
        loop.preconditionCurrent()
        guard isOpen, ending == .none else { return }
        output.append(bytes, loop: loop)
        guard !isUnflushed, !isBlocked else { return }
        isUnflushed = true
        loop.flushLater(self)
    }

    /// Returns when a producer may go on; throws when the socket has closed.
    public func drained() async throws {
        if loop.isCurrent, isOpen, output.count <= Self.highWater { return }
        try await loop.suspend { self.whenDrained($0) }
    }

    /// Resumes `waiter` when a producer may go on. On the loop.
    public func whenDrained(_ waiter: Waiter<Void>) {
        if !isOpen {
            waiter.resume(throwing: Self.closedError)
        } else if output.count <= Self.highWater {
            waiter.resume()
        } else {
            drainWaiters.append(waiter)
        }
    }

    public static var closedError: BerthError { BerthError(.network, "the connection is closed", isRetryable: true) }

    private func sendQueued() {
        guard isOpen else { return }
        while output.count > 0 {
            let bytes = output.bytes
            let sent = send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
            if sent >= 0 {
                output.removeFirst(sent, loop: loop)
                if isBlocked, let writeStallLimit { timer?.set(after: writeStallLimit) }
                if sent < bytes.count { continue }
            } else if errno == EAGAIN {
                if !isBlocked {
                    isBlocked = true
                    updateWatch()
                    if let writeStallLimit { startTimer(writeStallLimit) }
                }
                break
            } else if errno != EINTR {
                return end(BerthError(errno: errno, "the connection broke"))
            }
        }
        if output.count == 0, isBlocked {
            isBlocked = false
            timer?.set(nil)
            updateWatch()
        }
        if !drainWaiters.isEmpty, output.count <= Self.highWater / 2 {
            let waiters = drainWaiters
            drainWaiters = []
            for waiter in waiters { waiter.resume() }
        }
        guard output.count == 0 else { return }
        if ending == .afterFlush { linger() }
        if ending == .outputAfterFlush { shutOutput() }
    }

    // MARK: The end

    /// Sends what is queued, then closes in a way that lets the peer read it all.
    public func closeAfterFlush() {
        loop.preconditionCurrent()
        guard isOpen, ending != .afterFlush, ending != .lingering else { return }
        ending = .afterFlush
        if output.count == 0 { linger() }
    }

    /// Sends what is queued, then says that no more comes (half-close); reading goes on.
    public func endOutput() {
        loop.preconditionCurrent()
        guard isOpen, ending == .none else { return }
        ending = .outputAfterFlush
        if output.count == 0 { shutOutput() }
    }

    private func shutOutput() {
        ending = .outputEnded
        if shutdown(descriptor, CInt(SHUT_WR)) != 0 { end(BerthError(errno: errno, "the connection broke")) }
    }

    private func linger() {
        ending = .lingering
        guard shutdown(descriptor, CInt(SHUT_WR)) == 0, !inputEnded else { return end(nil) }
        wantsInput = true
        updateWatch()
        startTimer(Self.lingerTime)
    }

    /// Closes at once; unsent bytes are lost. `error` is what the delegate is told.
    public func close(_ error: BerthError? = nil) {
        loop.preconditionCurrent()
        end(error)
    }

    private func end(_ error: BerthError?) {
        guard let handle else { return }
        self.handle = nil
        handle.close()
        Glibc.close(descriptor)
        descriptor = -1
        timer?.close()
        timer = nil
        output.release(to: loop)
        let waiters = drainWaiters
        drainWaiters = []
        for waiter in waiters { waiter.resume(throwing: error ?? Self.closedError) }
        let delegate = delegate
        self.delegate = nil
        delegate?.socketClosed(error)
    }

    private func startTimer(_ duration: Duration) {
        let timer =
            timer
            ?? LoopTimer(loop: loop) { [unowned self] in
                end(ending == .lingering ? nil : BerthError(.timedOut, "the peer took no bytes for too long"))
            }
        self.timer = timer
        timer.set(after: duration)
    }
}

extension Socket: LoopFlushable {
    public func flush() {
        isUnflushed = false
        if !isBlocked { sendQueued() }
    }
}

extension Socket: PollTarget {
    func ready(_ readiness: Readiness) {
        if readiness.error != 0 {
            // libuv reports any trouble as EBADF; the socket knows better.
            let error = pendingError
            return end(BerthError(errno: error == 0 ? readiness.error : error, "the connection broke"))
        }
        if readiness.isWritable { sendQueued() }
        if readiness.isReadable, isOpen, wantsInput { readOnce() }
    }

    func loopStops() { end(BerthError(.network, "the event loop has stopped")) }
}

extension Socket {
    /// Small writes leave at once. Does nothing on a unix socket.
    public func setNoDelay() {
        var on: CInt = 1
        setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
    }

    /// The process at the other end of a unix socket, as the kernel knew it at connect (SO_PEERCRED).
    public var peerProcess: (processID: Int32, userID: UInt32, groupID: UInt32)? {
        var credentials: (Int32, UInt32, UInt32) = (0, 0, 0)  // struct ucred
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0, credentials.0 != 0 else {
            return nil
        }
        return credentials
    }

    private var pendingError: CInt {
        var error: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
        return error
    }

    public var localAddress: SocketAddress? { SocketAddress(localOf: descriptor) }
}
