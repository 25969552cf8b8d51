/// What lies at this side of a TCP channel: a socket, a viewer's WebSocket, a service. Called on the link's loop.
public protocol ChannelEnd: AnyObject {
    /// `bytes` are valid only during the call; the end keeps what it cannot pass on yet.
    func receive(_ bytes: UnsafeRawBufferPointer)
    /// Bytes kept.
    var unsentBytes: Int { get }
    /// The other side sends no more.
    func receiveEnd()
    /// The channel takes bytes again.
    func mayGoOn()
    /// The channel is over and knows its end no longer.
    func channelOver(_ ending: ChannelEnding)
}

/// How a channel ended.
public enum ChannelEnding: Sendable {
    /// Both sides had said that they send no more.
    case finished
    /// The other side gave it up.
    case reset(reason: String, afterItsEnd: Bool)
    /// The worker's link is gone.
    case linkLost
}
