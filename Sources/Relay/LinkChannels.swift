public import Base
public import EventLoop
public import Transport
internal import WorkerProtocol

/// Told of the channels of a link, on its loop.
public protocol ChannelObserver: Sendable {
    func channelOpened(_ number: UInt32)
    /// - Parameters:
    ///   - sent: bytes towards the other end of the link.
    ///   - received: bytes from there.
    func channelClosed(_ number: UInt32, sent: Int64, received: Int64, reason: String)
}

/// The TCP channels of one worker's link, at either end of it. Their frames never reach ``WebSocket/receive()``; all
/// others do.
///
/// `@unchecked Sendable`: state is touched only on the link's loop; the public methods go there.
public final class LinkChannels: @unchecked Sendable {
    public let loop: EventLoop
    private let socket: WebSocket
    private let maximum: Int
    private let observer: (any ChannelObserver)?
    let services: (any ChannelServices)?
    private var channels: [UInt32: TCPChannel] = [:]
    /// The one that frames came for last: mostly they come in rows.
    private var last: TCPChannel?
    /// Wait for the worker's answer.
    private var asked: [UInt32: Waiter<Void>] = [:]
    private var next = ChannelFrame.firstTCPChannel
    /// On the worker's side: connections from inside that wait for their way out, by dial.
    private var dialling: [String: Socket] = [:]
    private var dials: UInt64 = 0
    private var waitingForLink: [TCPChannel] = []
    private var look = LookAfterFlush()
    private var isLive = true
    private var opened = 0
    /// Channels that nobody uses the environment by.
    private var uncounted: Set<UInt32> = []
    /// Bytes of channels that are over.
    private var earlierBytes: Int64 = 0
    private let head = UnsafeMutableRawPointer.allocate(byteCount: ChannelFrame.headerLength, alignment: 8)

    /// - Parameters:
    ///   - maximum: channels at a time.
    ///   - services: a worker's own; nil for one that has none.
    public init(
        _ socket: WebSocket,
        maximum: Int,
        observer: (any ChannelObserver)? = nil,
        services: (any ChannelServices)? = nil
    ) {
        self.socket = socket
        self.services = services
        self.maximum = maximum
        self.observer = observer
        loop = socket.loop
    }

    deinit { head.deallocate() }

    /// Takes over the frames of TCP channels. On the loop, before the first of them can come.
    /// - Parameter front: takes the socket's messages instead, and hands on here what is for channels.
    public func begin(behind front: (any WebSocketSink)? = nil) {
        socket.readInBulk()
        socket.deliver(to: front ?? self)
    }

    /// What has gone through this link.
    public struct Traffic: Sendable, Equatable {
        /// Channels at this moment.
        public var open = 0
        /// Channels so far.
        public var opened = 0
        /// Bytes of all of them, both ways.
        public var bytes: Int64 = 0

        public init() {}
    }

    /// On the loop.
    public var traffic: Traffic {
        loop.preconditionCurrent()
        var traffic = Traffic()
        traffic.open = channels.count - uncounted.count
        traffic.opened = opened
        traffic.bytes = channels.reduce(earlierBytes) { sum, entry in
            uncounted.contains(entry.key) ? sum : sum + entry.value.traffic.sent + entry.value.traffic.received
        }
        return traffic
    }

    // MARK: The server's side

    /// Asks the worker for a connection. Throws `network` with its reason when it has none, `quotaExceeded`
    /// when the link has its number of channels, `unavailable` when the link is gone, `timedOut` at `deadline`.
    public func connect(to target: ChannelTarget, until deadline: Uptime) async throws -> OpenChannel {
        let opened = Opening()
        do {
            try await loop.suspend(until: deadline, what: "the connection to \(target)") { (waiter: Waiter<Void>) in
                do {
                    opened.channel = try self.ask(target, waiter)
                } catch {
                    waiter.resume(throwing: error)
                }
            }
        } catch {
            loop.execute { if let channel = opened.channel { self.giveUp(channel) } }
            throw error
        }
        return try await loop.run {
            guard let channel = opened.channel else { throw BerthError(.internal, "a channel was not made") }
            return OpenChannel(channel, self)
        }
    }

    private func ask(_ target: ChannelTarget, _ waiter: Waiter<Void>) throws -> TCPChannel {
        guard isLive else { throw Self.lost }
        guard channels.count < maximum, next != .max else {
            throw BerthError(
                .quotaExceeded,
                "there are \(maximum) connections through this worker already",
                remedy: "close some, or raise the setting maxWorkerChannels",
                isRetryable: true
            )
        }
        let number = next
        let text = try MessageCodec.encode(ServerMessage.connect(target.message(channel: number)))
        guard socket.put(text: String(decoding: text, as: UTF8.self)) else { throw Self.lost }
        next += 1
        let channel = add(number)
        asked[number] = waiter
        return channel
    }

    /// What the worker answered: nil for a connection, else why there is none.
    public func answered(_ number: UInt32, refusal: String?) {
        loop.execute { [self] in
            guard let waiter = asked.removeValue(forKey: number) else {
                // Given up in the meantime, and the word of it may have overtaken the question.
                if refusal == nil, channels[number] == nil { reset(number) }
                return
            }
            guard let refusal else {
                waiter.resume()
                return
            }
            channels[number]?.finish(.reset(reason: refusal, afterItsEnd: false))
            waiter.resume(throwing: BerthError(.network, refusal, isRetryable: true))
        }
    }

    private func giveUp(_ channel: TCPChannel) {
        asked[channel.number] = nil
        channel.reset("the viewer has gone")
    }

    static var lost: BerthError {
        BerthError(.unavailable, "the connection to the worker was lost", isRetryable: true)
    }

    // MARK: The worker's side

    /// A channel that the server asked for; nil when there are too many.
    /// - Parameter counts: whether somebody uses the environment by it.
    func accept(_ number: UInt32, counts: Bool) -> TCPChannel? {
        guard isLive, channels.count < maximum, number >= ChannelFrame.firstTCPChannel, number < .max,
            channels[number] == nil
        else { return nil }
        next = max(next, number + 1)
        return add(number, counts: counts)
    }

    /// Asks the server for a way out for a connection from inside. On the loop.
    public func dial(_ name: String, port: Int, for socket: Socket) {
        guard isLive, dialling.count < maximum else { return socket.reset() }
        dials += 1
        let dial = "\(dials)"
        dialling[dial] = socket
        answer(.dial(.init(dial: dial, name: name, port: port)))
    }

    /// There is none. On the loop.
    public func undialled(_ dial: String) { dialling.removeValue(forKey: dial)?.reset() }

    func takeDialling(_ dial: String) -> Socket? { dialling.removeValue(forKey: dial) }

    func answer(_ message: WorkerMessage) {
        guard let text = try? MessageCodec.encode(message) else { return }
        socket.put(text: String(decoding: text, as: UTF8.self))
    }

    // MARK: For channels

    private func add(_ number: UInt32, counts: Bool = true) -> TCPChannel {
        let channel = TCPChannel(number: number, link: self)
        channels[number] = channel
        if counts { opened += 1 } else { uncounted.insert(number) }
        observer?.channelOpened(number)
        return channel
    }

    var isCongested: Bool { socket.isCongested }

    func put(_ head: ChannelHead, _ payload: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)) {
        head.write(to: self.head)
        socket.put(
            binary: payload,
            behind: UnsafeRawBufferPointer(start: self.head, count: ChannelFrame.headerLength)
        )
    }

    private func reset(_ number: UInt32) { put(ChannelHead(.reset, channel: number, number: 0)) }

    func wakeLater(_ channel: TCPChannel) {
        guard !channel.isWaitingForLink else { return }
        channel.isWaitingForLink = true
        waitingForLink.append(channel)
        // What was put in this turn and goes out at once at its end makes no progress that is told of.
        if look.ask() { loop.flushLater(self) }
    }

    func forget(_ channel: TCPChannel, _ ending: ChannelEnding) {
        if last === channel { last = nil }
        guard channels.removeValue(forKey: channel.number) != nil else { return }
        let reason =
            switch ending {
            case .finished: "finished"
            case .reset(let reason, _): reason
            case .linkLost: "the worker's link was lost"
            }
        let (sent, received) = channel.traffic
        if uncounted.remove(channel.number) == nil { earlierBytes += sent + received }
        observer?.channelClosed(channel.number, sent: sent, received: received, reason: reason)
    }
}

extension LinkChannels: LoopFlushable {
    public func flush() {
        look.begin()
        webSocketProgressed()
        if look.end(isSettled: waitingForLink.isEmpty) { loop.flushLater(self) }
    }
}

extension LinkChannels: WebSocketSink {
    public func webSocketReceived(binary bytes: UnsafeRawBufferPointer) -> Bool {
        guard let head = ChannelHead(bytes), head.channel >= ChannelFrame.firstTCPChannel else { return false }
        let channel: TCPChannel
        if let last, last.number == head.channel {
            channel = last
        } else if let found = channels[head.channel] {
            channel = found
            last = found
        } else {
            // One that was given up here while this was on its way; numbers come once.
            return head.channel < next || head.kind == .reset
        }
        do {
            try channel.receive(head, UnsafeRawBufferPointer(rebasing: bytes[ChannelFrame.headerLength...]))
        } catch {
            socket.close(code: .protocolError, reason: error.message)
            lose()
        }
        return true
    }

    public func webSocketReceived(text: String) -> Bool { false }

    public func webSocketProgressed() {
        guard !waitingForLink.isEmpty, !isCongested else { return }
        let waiting = waitingForLink
        waitingForLink = []
        for channel in waiting { channel.linkProgressed() }
    }

    public func webSocketEnded(_ end: WebSocket.End) { lose() }

    private func lose() {
        isLive = false
        let waiters = asked.sorted { $0.key < $1.key }.map(\.value)
        asked = [:]
        for waiter in waiters { waiter.resume(throwing: Self.lost) }
        for channel in channels.sorted(by: { $0.key < $1.key }).map(\.value) { channel.finish(.linkLost) }
        waitingForLink = []
        for socket in dialling.sorted(by: { $0.key < $1.key }).map(\.value) { socket.reset() }
        dialling = [:]
    }
}

/// Brings a channel from the loop, where it is made, back to it when its maker has gone.
private final class Opening: @unchecked Sendable {
    var channel: TCPChannel?
}
