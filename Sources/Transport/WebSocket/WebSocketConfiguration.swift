/// Limits, deadlines and policies of a WebSocket, of either side.
public struct WebSocketConfiguration: Sendable {
    /// A longer message, also one that expands to more, closes the connection with 1009.
    public var maximumMessageBytes = 16 * 1024 * 1024
    /// A longer frame closes the connection with 1009; nil: only the message counts.
    public var maximumFrameBytes: Int?
    /// A message of more frames closes the connection with 1008. Empty frames cost nothing else.
    public var maximumFragments = 128 * 1024
    /// Quiet time after which a ping is sent; nil: never.
    public var pingInterval: Duration? = .seconds(30)
    /// A ping after every ``pingInterval``, also while the peer is heard: see ``WebSocket/lastConfirmed``.
    public var pingsRegularly = false
    /// Time for any byte to come in after a ping. It does not run while we do not read, and while bytes wait for the
    /// peer, which has then not seen the ping: that is up to ``slowPeer`` and ``writeStallLimit``.
    public var pongTimeout = Duration.seconds(30)
    /// Longest time the peer may take none of the bytes that wait for it; nil: for ever.
    public var writeStallLimit: Duration? = .seconds(60)
    /// Time for the peer to answer a close, and then for a server to end the connection. It begins anew while the peer
    /// still takes what was sent before.
    public var closeTimeout = Duration.seconds(5)
    /// Received bytes that nobody has taken; above this the peer has to wait.
    public var inboxBytes = 256 * 1024
    /// What becomes of messages that the peer does not take in time.
    public var slowPeer = SlowPeerPolicy.wait
    /// Longer messages leave in several frames of this size; nil: a message is one frame.
    public var fragmentBytes: Int?
    /// nil: neither offered nor accepted.
    public var compression: WebSocketCompression? = WebSocketCompression()

    public init() {}
}

/// What a sender gets from a peer that takes bytes more slowly than they are sent.
public enum SlowPeerPolicy: Sendable, Equatable {
    /// `send` waits while more than ``WebSocket/sendWindow`` bytes are unsent: for streams of which all must arrive.
    case wait
    /// A message sent while more than `bytes` are unsent is dropped, and `send` says so: for states of which the next
    /// one replaces the last. Never waits.
    case drop(above: Int)
    /// The connection is cut when a message is sent while more than `bytes` are unsent, or when a byte has been unsent
    /// for `time`: for a fan-out, in which nobody waits for the slowest. Never waits.
    case disconnect(above: Int, after: Duration)
}

/// permessage-deflate (RFC 7692): how it is negotiated and which messages are compressed.
public struct WebSocketCompression: Sendable, Equatable {
    /// Shorter messages go as they are.
    public var minimumBytes = 1024
    /// Longer ones too: compressing them would hold up the loop.
    public var maximumBytes = 1024 * 1024
    /// Binary messages as well as texts.
    public var compressesBinary = false
    /// 1 (fastest) to 9 (smallest).
    public var level = 1
    /// 9 to 15: at most `2^windowBits` bytes of earlier text are referred to, in both directions.
    public var windowBits = 15
    /// Messages may refer to earlier ones. Small ones that resemble each other become much smaller, and each connection
    /// holds its own state: up to 310 KiB, where without it an idle connection holds none.
    public var keepsContext = false

    public init() {}
}
