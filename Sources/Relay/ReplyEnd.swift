/// The answering side of a call: sends its bytes and ends.
///
/// `@unchecked Sendable`: touched only on the link's loop.
public final class ReplyEnd: ChannelEnd, @unchecked Sendable {
    private let channel: TCPChannel
    private var rest: ArraySlice<UInt8>

    public init(_ bytes: [UInt8], _ channel: TCPChannel) {
        rest = bytes[...]
        self.channel = channel
    }

    public func begin() {
        channel.attach(self)
        mayGoOn()
    }

    public func mayGoOn() {
        let sent = rest.withUnsafeBytes { channel.send($0) }
        rest = rest.dropFirst(sent)
        if rest.isEmpty { channel.endOutput() }
    }

    /// What the asking side says beyond its question is not read.
    public func receive(_ bytes: UnsafeRawBufferPointer) {}
    public var unsentBytes: Int { 0 }
    public func receiveEnd() {}
    public func channelOver(_ ending: ChannelEnding) {}
}
