internal import Base
internal import EventLoop

/// What comes through a channel, for a task that takes it at its own pace.
///
/// `@unchecked Sendable`: touched only on the link's loop.
public final class ChannelReader: ChannelEnd, @unchecked Sendable {
    private let channel: TCPChannel
    private let loop: EventLoop
    private var bytes: [UInt8] = []
    private var waiter: Waiter<[UInt8]?>?
    private var ending: Ending?

    private enum Ending {
        case ended
        case failed(BerthError)
    }

    fileprivate init(_ channel: TCPChannel, loop: EventLoop) {
        self.channel = channel
        self.loop = loop
    }

    /// All that has come since the last time, at least a byte; nil at the end. Throws `network` when the other side gave
    /// it up, `unavailable` when the link is gone.
    public func next() async throws -> [UInt8]? {
        try await loop.suspend { (waiter: Waiter<[UInt8]?>) in
            self.waiter = waiter
            self.hand()
        }
    }

    private func hand() {
        guard let waiter else { return }
        if !bytes.isEmpty {
            let all = bytes
            bytes = []
            self.waiter = nil
            waiter.resume(returning: all)
            return channel.progressed()
        }
        guard let ending else { return }
        self.waiter = nil
        switch ending {
        case .ended: waiter.resume(returning: nil)
        case .failed(let error): waiter.resume(throwing: error)
        }
    }

    /// Nothing more is wanted.
    public func close() { loop.execute { self.channel.reset("the viewer has gone") } }

    public func receive(_ more: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: more)
        hand()
    }

    public var unsentBytes: Int { bytes.count }

    public func receiveEnd() {
        ending = ending ?? .ended
        channel.endOutput()
        hand()
    }

    public func mayGoOn() {}

    public func channelOver(_ end: ChannelEnding) {
        switch end {
        case .finished: ending = ending ?? .ended
        case .reset(let reason, _): ending = ending ?? .failed(BerthError(.network, reason, isRetryable: true))
        case .linkLost: ending = ending ?? .failed(LinkChannels.lost)
        }
        hand()
    }
}

extension OpenChannel {
    /// Reads it from now on.
    public func reader() async throws -> ChannelReader {
        let (channel, loop) = (channel, link.loop)
        return try await loop.run {
            let reader = ChannelReader(channel, loop: loop)
            channel.attach(reader)
            return reader
        }
    }
}
