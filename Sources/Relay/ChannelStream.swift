public import Base
internal import EventLoop
public import WorkerProtocol

/// The asking side of a service that sends and takes more than one answer, for a task that reads and writes it. Let go, it
/// ends the channel.
public final class ChannelStream: Sendable {
    private let end: StreamEnd
    private let link: LinkChannels

    fileprivate init(_ end: StreamEnd, _ link: LinkChannels) {
        self.end = end
        self.link = link
    }

    deinit { link.loop.execute { [end] in end.leave() } }

    /// The next bytes; nil when the other side has ended. Throws `network` when it broke off, `timed_out` at `deadline`.
    public func read(until deadline: Uptime? = nil) async throws -> [UInt8]? {
        let end = end
        return try await link.loop.suspend(until: deadline, what: "the worker's answer") { (waiter: Waiter<[UInt8]?>) in
            end.read(waiter)
        }
    }

    /// Returns when the bytes are on their way and there is room for more.
    public func write(_ bytes: [UInt8]) async throws {
        let end = end
        try await link.loop.suspend { (waiter: Waiter<Void>) in end.write(bytes, waiter) }
    }
}

extension LinkChannels {
    /// Opens a channel to a service that streams. Throws as ``connect(to:until:)``.
    public func stream(_ request: some ServiceCall, until deadline: Uptime) async throws -> ChannelStream {
        let open = try await connect(to: .service(try ServiceRequest(request)), until: deadline)
        return try await loop.run {
            let end = StreamEnd(open.channel)
            open.channel.attach(end)
            return ChannelStream(end, self)
        }
    }
}

/// `@unchecked Sendable`: touched only on the link's loop.
private final class StreamEnd: ChannelEnd, @unchecked Sendable {
    private let channel: TCPChannel
    private var inbox: [UInt8] = []
    private var hasEnded = false
    private var failure: BerthError?
    private var reader: Waiter<[UInt8]?>?
    private var outbox = Backlog()
    private var writer: Waiter<Void>?

    init(_ channel: TCPChannel) { self.channel = channel }

    func read(_ waiter: Waiter<[UInt8]?>) {
        if !inbox.isEmpty {
            waiter.resume(returning: inbox)
            inbox = []
            channel.progressed()
        } else if let failure {
            waiter.resume(throwing: failure)
        } else if hasEnded {
            waiter.resume(returning: nil)
        } else {
            reader = waiter
        }
    }

    func write(_ bytes: [UInt8], _ waiter: Waiter<Void>) {
        if let failure { return _ = waiter.resume(throwing: failure) }
        bytes.withUnsafeBytes { outbox.append($0) }
        writer = waiter
        mayGoOn()
    }

    func leave() {
        if !channel.isOver { channel.reset("the caller has gone") }
    }

    func receive(_ bytes: UnsafeRawBufferPointer) {
        inbox.append(contentsOf: bytes)
        giveOn()
    }

    var unsentBytes: Int { inbox.count }

    func receiveEnd() {
        hasEnded = true
        giveOn()
    }

    private func giveOn() {
        guard let waiter = reader else { return }
        reader = nil
        // One that was cancelled meanwhile takes nothing.
        guard waiter.isWaiting else { return }
        read(waiter)
    }

    func mayGoOn() {
        outbox.drain { channel.send($0) }
        guard outbox.isEmpty, let waiter = writer else { return }
        writer = nil
        waiter.resume()
    }

    func channelOver(_ ending: ChannelEnding) {
        switch ending {
        case .finished: hasEnded = true
        case .reset(let reason, _): failure = BerthError(.network, reason, isRetryable: true)
        case .linkLost: failure = LinkChannels.lost
        }
        giveOn()
        if let failure { writer?.resume(throwing: failure) }
        writer = nil
    }
}
