internal import EventLoop

/// Takes the messages of one WebSocket as they come in, on its loop, with no task in between.
public protocol WebSocketSink: AnyObject {
    /// A whole binary message; `bytes` are valid only during the call. False leaves it to ``WebSocket/receive()``.
    func webSocketReceived(binary bytes: UnsafeRawBufferPointer) -> Bool
    /// A text message. False leaves it to ``WebSocket/receive()``.
    func webSocketReceived(text: String) -> Bool
    /// A message that the sink left to ``WebSocket/receive()`` waits there.
    func webSocketQueued()
    /// Bytes that had to wait for the peer were taken.
    func webSocketProgressed()
    /// Once, and last.
    func webSocketEnded(_ end: WebSocket.End)
}

extension WebSocketSink {
    public func webSocketQueued() {}
}

extension WebSocket {
    /// From now on messages go to `sink` first, those that nobody has received yet among them. It is held until the
    /// end. On the loop.
    public func deliver(to sink: any WebSocketSink) {
        loop.preconditionCurrent()
        self.sink = sink
        offerInbox()
        guard let end = endIfEnded, self.sink != nil else { return }
        self.sink = nil
        sink.webSocketEnded(end)
    }

    /// Ends the connection at once, without a word.
    func abort() { loop.execute { self.stream.close() } }

    /// As ``put(binary:behind:)``, for a text message.
    @discardableResult
    public func put(text: String) -> Bool {
        loop.preconditionCurrent()
        guard isWritable else { return false }
        writeText(text)
        return true
    }
}
