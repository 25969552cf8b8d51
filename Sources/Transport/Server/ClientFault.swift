public import Base
internal import Synchronization

/// Why a server refused a client or cut it off.
public enum ClientFault: String, Sendable, CaseIterable {
    case malformedRequest = "malformed_request"
    case malformedBody = "malformed_body"
    case slowHead = "slow_head"
    case slowHandshake = "slow_tls_handshake"
    case failedHandshake = "failed_tls_handshake"
    case plainOnTLS = "plain_http_on_tls_port"
    case slowBody = "slow_body"
    case slowReader = "slow_reader"
    case largeBody = "large_body"
    case manyConnections = "many_connections"
    case manyFromAddress = "many_from_address"
    /// Data that its handler left lying for too long.
    case unreadBody = "unread_body"
    /// The client has left or broken its request, and the handler did not end.
    case lateHandler = "late_handler"
    /// Broke the WebSocket protocol, or a limit of its socket.
    case webSocketViolation = "websocket_violation"
    /// Answered no ping, or no close.
    case webSocketSilence = "websocket_silence"
    /// Took its messages more slowly than the socket's policy allows.
    case webSocketSlowReader = "websocket_slow_reader"
    /// The system has no descriptors or memory for more connections.
    case exhausted = "exhausted"
}

/// Counts what clients do wrong and logs it at a bounded rate: per fault a few lines at once, then one every few
/// seconds that says how many went before it unlogged.
final class ClientFaults: Sendable {
    private let log: Log
    private let entries = Mutex<[ClientFault: Entry]>([:])

    private struct Entry {
        var count = 0
        var rate = LogRate()
    }

    init(log: Log) { self.log = log }

    func report(_ fault: ClientFault, peer: HTTPPeer?, detail: String, at now: Uptime) {
        let unlogged = entries.withLock { entries in
            entries[fault, default: Entry()].count += 1
            return entries[fault, default: Entry()].rate.admit(at: now)
        }
        guard let unlogged else { return }
        log.warning(
            "client refused",
            ["reason": fault.rawValue, "peer": peer?.description ?? "", "detail": detail, "unlogged": unlogged]
        )
    }

    func count(_ fault: ClientFault) -> Int { entries.withLock { $0[fault]?.count ?? 0 } }

    /// Says what the lines so far have left out.
    func close() {
        let rest = entries.withLock { entries in
            ClientFault.allCases.map { ($0, entries[$0]?.rate.takeUnlogged() ?? 0) }
        }
        for (fault, unlogged) in rest where unlogged > 0 {
            log.warning("clients refused", ["reason": fault.rawValue, "unlogged": unlogged])
        }
    }
}

/// A token bucket for lines of a log: ``burst`` at once, then one in each ``interval``.
public struct LogRate: Sendable {
    static let burst = 5
    static let interval = Duration.seconds(10)

    /// When the bucket is full again; each line moves it on by one interval.
    private var fullAt = Uptime(nanoseconds: 0)
    private var unlogged = 0

    public init() {}

    /// nil: not this one. Otherwise the number of those left out since the last that was logged.
    public mutating func admit(at now: Uptime) -> Int? {
        guard fullAt - now <= Self.interval * (Self.burst - 1) else {
            unlogged += 1
            return nil
        }
        fullAt = max(fullAt, now) + Self.interval
        return takeUnlogged()
    }

    mutating func takeUnlogged() -> Int {
        defer { unlogged = 0 }
        return unlogged
    }
}
