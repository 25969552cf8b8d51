public import Base
internal import CUV
internal import Glibc

/// A connected stream socket (TCP or unix). Writes of one turn of the loop leave in one system call; while the kernel
/// takes no more they wait in memory, and ``drained()`` is how a producer slows down.
///
/// `@unchecked Sendable`: everything is touched only on `loop`, which the methods check.
public final class Socket: @unchecked Sendable {
    public let loop: EventLoop
    /// Kept while open, let go at the end: that breaks the cycle with its owner.
    public var delegate: (any SocketDelegate)?
    /// While bytes wait, the peer must take ``writeStallBytes`` in each such time; otherwise the socket closes with
    /// `timedOut`. nil: for ever.
    public var writeStallLimit: Duration?
    public var writeStallBytes = 1
    /// The most that one reading takes; up to ``EventLoop/readBufferSize``. A message of 64 KiB fits, encrypted too.
    public var readSize = 80 * 1024
    /// When bytes last came in.
    public private(set) var lastReceived: Uptime
    /// Since when the kernel has not been able to take all that was written; nil while it keeps up.
    public private(set) var blockedSince: Uptime?

    private(set) var descriptor: CInt
    private var handle: PollHandle?
    private var output = OutputBuffer()
    private var wantsInput = false
    private var inputEnded = false
    private var filledLastReading = false
    private var mark = ReadMark()
    /// What the delegate has said in this reading.
    private var expected = 0
    private var isUnflushed = false
    private var isBlocked = false {
        didSet { if isBlocked != oldValue { blockedSince = isBlocked ? loop.now : nil } }
    }
    private var ending = Ending.none
    private var drainWaiters: [(waiter: Waiter<Void>, room: Int)] = []
    private var timer: LoopTimer?
    /// What the kernel held at the last look at the peer's progress, and what it was given since.
    private var progress = (held: 0, given: 0)
    private var lingerEnd = Uptime(nanoseconds: 0)

    private enum Ending {
        case none  // → endingOutput, afterFlush
        case endingOutput  // what is queued goes out, then our side is shut; reading goes on → outputEnded, afterFlush
        case outputEnded  // our side is shut; reading goes on → lingering
        case afterFlush  // what is queued goes out first → lingering
        case lingering  // our side is shut, the peer's rest is read and dropped so that it can read our last words
    }

    /// A producer waits above this many unsent bytes, until half of it.
    public static let highWater = 256 * 1024
    /// What a socket that brings more than one reading takes gets in a turn that has lasted long already, so that a few
    /// of its kind cannot make all others wait.
    private static let smallRead = 8 * 1024
    private static let lingerTime = Duration.seconds(2)
    /// From here on bytes are sent from where they lie, together with what is queued, instead of being copied first.
    private static let directWrite = 32 * 1024

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
        loop.meter.opened()
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

    /// Called while bytes are received: nothing needs to be done before `count` more have come. The loop is woken then,
    /// or a millisecond later. Holds until the next reading.
    public func expect(_ count: Int) { expected = count }

    private func updateWatch() {
        handle?.watch(reading: wantsInput && !inputEnded, writing: isBlocked)
    }

    private func readOnce() {
        let buffer = loop.readBuffer
        let most = min(max(readSize, mark.bytes), buffer.count)
        let size = filledLastReading && loop.isTurnLong ? Self.smallRead : most
        let count = recv(descriptor, buffer.baseAddress, size, 0)
        filledLastReading = count == size
        if count > 0 {
            lastReceived = loop.now
            loop.meter.received(count)
            expected = 0
            if ending != .lingering { delegate?.socketReceived(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
            guard isOpen else { return }
            // More than fits one reading is there already.
            if filledLastReading { expected = 0 }
            mark.set(expected, on: descriptor) {
                LoopTimer(loop: loop) { [unowned self] in mark.lift(on: descriptor) }
            }
        } else if count == 0 {
            inputEnded = true
            updateWatch()
            if ending == .lingering { return end(nil) }
            delegate?.socketInputEnded()
        } else if errno != EAGAIN, errno != EINTR {
            let wasWanted = ending != .afterFlush && ending != .lingering
            end(wasWanted ? BerthError(errno: errno, "the connection broke") : nil)
        }
    }

    // MARK: Out

    public func write(_ bytes: UnsafeRawBufferPointer) {
        loop.preconditionCurrent()
        guard isOpen, ending == .none else { return }
        var rest = bytes
        if !isBlocked, bytes.count >= Self.directWrite || output.count + bytes.count > OutputBuffer.spareCapacity {
            rest = UnsafeRawBufferPointer(rebasing: bytes[sendNow(bytes)...])
            guard !rest.isEmpty else { return }
        }
        output.append(rest, loop: loop)
        guard !isUnflushed, !isBlocked else { return }
        isUnflushed = true
        loop.flushLater(self)
    }

    /// One system call for what is queued and for `bytes` behind it. Returns how many of `bytes` were taken; any trouble
    /// is left to the flush, so that no owner is told of it in the middle of its own call.
    private func sendNow(_ bytes: UnsafeRawBufferPointer) -> Int {
        let queued = output.bytes
        var parts = (Self.part(queued), Self.part(bytes))
        let sent = withUnsafeMutableBytes(of: &parts) { parts in
            let parts = parts.bindMemory(to: iovec.self)
            let skipped = queued.isEmpty ? 1 : 0
            var message = msghdr()
            message.msg_iov = parts.baseAddress.map { $0 + skipped }
            message.msg_iovlen = 2 - skipped
            return sendmsg(descriptor, &message, CInt(MSG_NOSIGNAL))
        }
        guard sent > 0 else { return 0 }
        loop.meter.sent(sent)
        output.removeFirst(min(sent, queued.count), loop: loop)
        return max(0, sent - queued.count)
    }

    private static func part(_ bytes: UnsafeRawBufferPointer) -> iovec {
        iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
    }

    /// As ``write(_:)``, but the kernel gets the bytes at once where nothing waits before them; only what it does not
    /// take is copied. For many bytes, or bytes that many sockets share.
    public func writeThrough(_ bytes: UnsafeRawBufferPointer) {
        loop.preconditionCurrent()
        guard output.count == 0, !isBlocked, isOpen, ending == .none else { return write(bytes) }
        let sent = send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
        if sent > 0 { loop.meter.sent(sent) }
        // An error comes again, and is dealt with, when the rest is flushed: a caller is not closed under its hands.
        if sent < bytes.count { write(UnsafeRawBufferPointer(rebasing: bytes[max(0, sent)...])) }
    }

    /// Returns when a producer may go on: `room` bytes or fewer are unsent. Throws when the socket has closed.
    public func drained(to room: Int = Socket.highWater) async throws {
        if loop.isCurrent, isOpen, output.count <= room { return }
        try await loop.suspend { self.whenDrained($0, to: room) }
    }

    /// Resumes `waiter` when a producer may go on. On the loop.
    public func whenDrained(_ waiter: Waiter<Void>, to room: Int = Socket.highWater) {
        if !isOpen {
            waiter.resume(throwing: Self.closedError)
        } else if output.count <= room {
            waiter.resume()
        } else {
            drainWaiters.append((waiter, room))
        }
    }

    public static var closedError: BerthError { BerthError(.network, "the connection is closed", isRetryable: true) }

    /// Ends for an error of the connection, after what had come before it: who refuses a request without reading it to
    /// its end resets the connection, and the answer lies here unread.
    private func breakOff(_ number: CInt) {
        if isOpen, wantsInput, !inputEnded, ending != .lingering {
            let buffer = loop.readBuffer
            // Nothing more is no end of the input here: the error has been taken from the descriptor.
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 {
                loop.meter.received(count)
                delegate?.socketReceived(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
        if isOpen { end(BerthError(errno: number, "the connection broke")) }
    }

    private func sendQueued() {
        guard isOpen else { return }
        let waiting = isBlocked ? output.count : 0
        while output.count > 0 {
            let bytes = output.bytes
            let sent = send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
            if sent >= 0 {
                loop.meter.sent(sent)
                output.removeFirst(sent, loop: loop)
                progress.given += sent
                if sent < bytes.count { continue }
            } else if errno == EAGAIN {
                if !isBlocked {
                    isBlocked = true
                    updateWatch()
                    if let writeStallLimit { watchProgress(after: writeStallLimit) }
                }
                break
            } else if errno != EINTR {
                return breakOff(errno)
            }
        }
        if output.count == 0, isBlocked {
            isBlocked = false
            timer?.set(nil)
            updateWatch()
        }
        if !drainWaiters.isEmpty {
            // At half of what they asked for, so that a producer that fills the room again is not woken for each byte.
            drainWaiters.removeAll { waiting in
                guard output.count <= waiting.room / 2 else { return false }
                waiting.waiter.resume()
                return true
            }
        }
        if output.count == 0, ending == .endingOutput { shutOutput() }
        if output.count == 0, ending == .afterFlush { return lingerForPeer() }
        if output.count < waiting { delegate?.socketProgressed() }
    }

    // MARK: The end

    /// Sends what is queued, then tells the peer that nothing follows; reading goes on.
    public func endOutput() {
        loop.preconditionCurrent()
        guard isOpen, ending == .none else { return }
        ending = .endingOutput
        if output.count == 0 { shutOutput() }
    }

    private func shutOutput() {
        ending = .outputEnded
        shutdown(descriptor, CInt(SHUT_WR))
    }

    /// Sends what is queued, then closes in a way that lets the peer read it all.
    public func closeAfterFlush() {
        loop.preconditionCurrent()
        guard isOpen, ending != .afterFlush, ending != .lingering else { return }
        ending = .afterFlush
        if output.count == 0 { lingerForPeer() }
    }

    private func lingerForPeer() {
        ending = .lingering
        guard shutdown(descriptor, CInt(SHUT_WR)) == 0, !inputEnded else { return end(nil) }
        wantsInput = true
        updateWatch()
        lingerEnd = loop.now + (writeStallLimit ?? Self.lingerTime)
        watchProgress(after: Self.lingerTime)
    }

    /// Closes at once; unsent bytes are lost. `error` is what the delegate is told.
    public func close(_ error: BerthError? = nil) {
        loop.preconditionCurrent()
        end(error)
    }

    /// Closes at once with a reset, so that the peer knows that this was no orderly end.
    public func reset() {
        loop.preconditionCurrent()
        guard isOpen else { return }
        var setting = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &setting, socklen_t(MemoryLayout.size(ofValue: setting)))
        end(nil)
    }

    /// Gives the descriptor away, with what is queued and not sent yet; the socket is closed afterwards and nobody is
    /// told. nil when it is closed or closing already.
    public func detach() -> (descriptor: CInt, unsent: [UInt8])? {
        loop.preconditionCurrent()
        guard let handle, ending == .none else { return nil }
        mark.lift(on: descriptor)
        mark.close()
        let given = (descriptor, Array(output.bytes))
        self.handle = nil
        handle.close()
        descriptor = -1
        timer?.close()
        timer = nil
        output.release(to: loop)
        delegate = nil
        let waiters = drainWaiters
        drainWaiters = []
        for (waiter, _) in waiters { waiter.resume(throwing: Self.closedError) }
        return given
    }

    private func end(_ error: BerthError?) {
        guard let handle else { return }
        self.handle = nil
        loop.meter.closed()
        mark.close()
        handle.close()
        Glibc.close(descriptor)
        descriptor = -1
        timer?.close()
        timer = nil
        output.release(to: loop)
        let waiters = drainWaiters
        drainWaiters = []
        for waiting in waiters { waiting.waiter.resume(throwing: error ?? Self.closedError) }
        let delegate = delegate
        self.delegate = nil
        delegate?.socketClosed(error)
    }

    /// Looks after `duration` whether the peer takes what it is sent. The kernel's own queue counts as not taken: it
    /// says that there is room only once much of it is free, which a slow but honest reader may take minutes for.
    private func watchProgress(after duration: Duration) {
        progress = (queuedInKernel, 0)
        let timer = timer ?? LoopTimer(loop: loop) { [unowned self] in lookAtProgress() }
        self.timer = timer
        timer.set(after: duration)
    }

    private func lookAtProgress() {
        let held = queuedInKernel
        let taken = progress.held + progress.given - held
        if ending == .lingering {
            guard held > 0, taken > 0, loop.now < lingerEnd else { return end(nil) }
            watchProgress(after: Self.lingerTime)
        } else if let writeStallLimit {
            guard taken >= writeStallBytes else {
                return end(BerthError(.timedOut, "the peer took no bytes for too long"))
            }
            watchProgress(after: writeStallLimit)
        }
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
            return breakOff(error == 0 ? readiness.error : error)
        }
        if readiness.isWritable { sendQueued() }
        if readiness.isReadable, isOpen, wantsInput { readOnce() }
    }

    func loopStops() { end(BerthError(.network, "the event loop has stopped")) }
}
