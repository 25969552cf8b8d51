internal import EventLoop
public import Transport

/// A connection in an environment that nobody uses yet. Let go unused, it is closed.
public final class OpenChannel: Sendable {
    let channel: TCPChannel
    let link: LinkChannels

    init(_ channel: TCPChannel, _ link: LinkChannels) {
        self.channel = channel
        self.link = link
    }

    /// For the sockets of viewers. One that is there and reads nothing is as good as a TCP peer that does; one that is
    /// not there answers no ping.
    public static var webSocket: WebSocketConfiguration {
        var configuration = WebSocketConfiguration()
        configuration.maximumMessageBytes = 1 << 20
        configuration.writeStallLimit = nil
        configuration.compression = nil
        return configuration
    }

    /// Connects it with a viewer, whose socket must live on the link's loop. On that loop.
    public func serve(_ viewer: WebSocket) {
        link.loop.preconditionCurrent()
        let end = ViewerEnd(viewer, channel)
        channel.attach(end)
        viewer.deliver(to: end)
    }

    deinit {
        link.loop.execute { [channel] in channel.closeUnused() }
    }
}
