public import Base
public import Domain
public import WorkerProtocol

/// The socket under a worker's connection.
public protocol LinkTransport: Sendable {
    /// A text frame (UTF-8). Waits while the peer does not read.
    func send(text: [UInt8]) async throws
    func send(binary: [UInt8]) async throws
    /// What the worker said to a `connect`: nil for a connection, else why there is none.
    func answered(channel: UInt32, refusal: String?) async
    /// Connects to the place that a `dial` names, and answers it. Returns at once.
    func dial(_ dial: WorkerMessage.Dial) async
    /// Cuts connections to places that are no longer allowed.
    func keep(to policy: NetworkPolicy) async
    /// When anything last came in, be it less than a message; nil where nobody knows.
    func lastHeard() async -> Uptime?
    /// Sends the close frame and lets the reader end. Does nothing when closed.
    func close(code: UInt16, reason: String) async
}

extension LinkTransport {
    public func lastHeard() async -> Uptime? { nil }
    public func dial(_ dial: WorkerMessage.Dial) async {}
    public func keep(to policy: NetworkPolicy) async {}
}
