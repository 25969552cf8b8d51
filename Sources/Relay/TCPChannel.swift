internal import Base
public import EventLoop
internal import WorkerProtocol

/// One TCP connection through a worker's link. Bytes are passed on in the call that brings them.
///
/// `@unchecked Sendable`: touched only on the link's loop.
public final class TCPChannel: @unchecked Sendable {
    enum State {
        case waiting([UInt8])  // nobody takes the bytes yet; at most a window of them → attached, over
        case attached(any ChannelEnd)  // → over
        case over(ChannelEnding)
    }

    let number: UInt32
    private unowned let link: LinkChannels
    private var flow = TCPFlow()
    private var state = State.waiting([])
    private var look = LookAfterFlush()
    /// Is to be told when the link takes bytes again.
    var isWaitingForLink = false

    init(number: UInt32, link: LinkChannels) {
        self.number = number
        self.link = link
    }

    public var isOver: Bool { if case .over = state { true } else { false } }
    /// Bytes towards the worker's peer and from it, as this side counts them.
    var traffic: (sent: Int64, received: Int64) { (flow.sent, flow.received) }

    /// From now on `end` gets the bytes, those that came before it first.
    public func attach(_ end: any ChannelEnd) {
        let before = state
        if case .over(let ending) = before { return end.channelOver(ending) }
        state = .attached(end)
        guard case .waiting(let early) = before else { return }
        if !early.isEmpty { early.withUnsafeBytes { end.receive($0) } }
        grant()
        if flow.peerHasEnded { end.receiveEnd() }
    }

    // MARK: Out

    /// Sends as much as credit and the link allow and returns how much that was; for the rest wait for
    /// ``ChannelEnd/mayGoOn()``.
    public func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard !flow.hasEnded, case .attached = state else { return bytes.count }
        var sent = 0
        while sent < bytes.count {
            if link.isCongested {
                link.wakeLater(self)
                break
            }
            let count = min(bytes.count - sent, flow.credit, ChannelFrame.maximumPayload)
            guard count > 0 else { break }
            let head = ChannelHead(.data, channel: number, number: flow.sent)
            link.put(head, UnsafeRawBufferPointer(rebasing: bytes[sent..<sent + count]))
            flow.send(count)
            sent += count
        }
        return sent
    }

    /// Nothing follows from this side.
    public func endOutput() {
        guard !isOver, flow.end() else { return }
        link.put(ChannelHead(.end, channel: number, number: flow.sent))
        if flow.isOver { finish(.finished) }
    }

    /// This side is gone.
    public func reset(_ reason: String) {
        guard !isOver else { return }
        var words = ChannelFrame.cut(reason)
        words.withUTF8 { link.put(ChannelHead(.reset, channel: number, number: 0), UnsafeRawBufferPointer($0)) }
        let ending = ChannelEnding.reset(reason: reason, afterItsEnd: flow.hasEnded)
        state = .over(ending)
        link.forget(self, ending)
    }

    /// Both sides are to be gone.
    func cut(_ reason: String) {
        guard !isOver else { return }
        var words = ChannelFrame.cut(reason)
        words.withUTF8 { link.put(ChannelHead(.reset, channel: number, number: 0), UnsafeRawBufferPointer($0)) }
        finish(.reset(reason: reason, afterItsEnd: false))
    }

    /// For a channel that nobody was ever attached to.
    func closeUnused() { if case .waiting = state { reset("the viewer has gone") } }

    /// The end has passed on bytes that it had kept.
    public func progressed() { grant() }

    func linkProgressed() {
        isWaitingForLink = false
        if case .attached(let end) = state { end.mayGoOn() }
    }

    // MARK: In

    func receive(_ head: ChannelHead, _ payload: UnsafeRawBufferPointer) throws(BerthError) {
        switch head.kind {
        case .data:
            guard payload.count <= ChannelFrame.maximumPayload else {
                throw BerthError(.protocolViolation, "a data frame of \(payload.count) bytes is too long")
            }
            try flow.receive(offset: head.number, count: payload.count)
            // An empty message means an end to viewers.
            guard payload.count > 0 else { return }
            switch state {
            case .waiting(var early):
                state = .waiting([])
                early.append(contentsOf: payload)
                state = .waiting(early)
            case .attached(let end):
                end.receive(payload)
                if flow.mayGrant { grant() }
            case .over: return
            }
        case .credit:
            guard payload.count == 8 else {
                throw BerthError(.protocolViolation, "a credit frame carries \(payload.count) bytes, not 8")
            }
            flow.receiveCredit(limit: head.number)
            if case .attached(let end) = state { end.mayGoOn() }
        case .end:
            try flow.receiveEnd(total: head.number)
            if case .attached(let end) = state { end.receiveEnd() }
            if flow.isOver { finish(.finished) }
        case .reset:
            let reason = String(decoding: payload.prefix(ChannelFrame.maximumReason), as: UTF8.self)
            finish(.reset(reason: reason, afterItsEnd: flow.peerHasEnded))
        case .tail: throw BerthError(.protocolViolation, "a TCP channel has no tail")
        }
    }

    private func grant() {
        guard case .attached(let end) = state else { return }
        guard let limit = flow.grant(waiting: end.unsentBytes) else { return lookAfterFlush() }
        give(limit)
    }

    private func give(_ limit: Int64) {
        let passedOn = (limit - ChannelFrame.initialCredit).bigEndian
        withUnsafeBytes(of: passedOn) { link.put(ChannelHead(.credit, channel: number, number: limit), $0) }
    }

    /// What waits for the end of this turn, and then goes out at once, makes no progress that is told of.
    private func lookAfterFlush() {
        if flow.mayGrant, look.ask() { link.loop.flushLater(self) }
    }

    /// The other side's doing.
    func finish(_ ending: ChannelEnding) {
        let before = state
        if case .over = before { return }
        state = .over(ending)
        link.forget(self, ending)
        if case .attached(let end) = before { end.channelOver(ending) }
    }
}

extension TCPChannel: LoopFlushable {
    public func flush() {
        look.begin()
        guard case .attached(let end) = state else { return }
        if let limit = flow.grant(waiting: end.unsentBytes) { give(limit) }
        if look.end(isSettled: !flow.mayGrant) { link.loop.flushLater(self) }
    }
}
