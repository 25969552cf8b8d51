public import Base
public import EventLoop
internal import Glibc
public import OpenSSL
internal import Synchronization

public typealias HTTPHandler = @Sendable (HTTPRequest) async throws -> HTTPResponse

/// An HTTP/1.1 server on the given loops. A connection stays on the loop that accepted it, and so do its handlers.
public final class HTTPServer: Sendable {
    let configuration: HTTPServerConfiguration
    let handler: HTTPHandler
    let ids: IDSource
    let log: Log
    let counts = ConnectionCounts()
    let faults: ClientFaults
    private let places: [ServerPlace]
    let webSockets = Atomic<Int>(0)
    private let nextPlace = Atomic<Int>(0)

    public init(
        loops: [EventLoop],
        configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
        ids: IDSource,
        log: Log,
        handler: @escaping HTTPHandler
    ) {
        precondition(!loops.isEmpty, "a server needs a loop")
        self.configuration = configuration
        self.handler = handler
        self.ids = ids
        self.log = log
        faults = ClientFaults(log: log)
        places = loops.map(ServerPlace.init)
    }

    /// What it shows to TLS clients; nil where it speaks no TLS.
    public var certificate: TLSCertificate? { configuration.tls?.certificate }
    public var connectionCount: Int { counts.count }
    /// How often clients were refused or cut off for this.
    public func count(of fault: ClientFault) -> Int { faults.count(fault) }
    /// Connections that speak WebSocket.
    public var webSocketCount: Int { webSockets.load(ordering: .relaxed) }

    /// Starts to accept connections and returns the address in use. May be called for several addresses. The first loop
    /// accepts; each connection goes to the loop that has the fewest.
    @discardableResult
    public func listen(on address: ListenAddress) async throws -> SocketAddress {
        let first = places[0]
        switch address {
        case .unix(let path, let mode):
            return try await first.loop.run { [self] in
                try keep(
                    ListeningSocket(unix: path, mode: mode, loop: first.loop) { [self] descriptor, _ in
                        distribute(descriptor, from: nil)
                    }
                )
            }
        case .tcp(let host, let port):
            let addresses = try await first.loop.lookUp(host: host, port: port)
            return try await first.loop.run { [self] in try listen(onAllOf: addresses, at: first) }
        }
    }

    /// A name means all its addresses, on one port. One that this machine does not have (`::1` without IPv6) is left
    /// out as long as another serves.
    private func listen(onAllOf addresses: [SocketAddress], at first: ServerPlace) throws(BerthError) -> SocketAddress {
        var bound: SocketAddress?
        var absent: BerthError?
        for address in addresses {
            let wanted = bound.flatMap { SocketAddress(numericHost: address.host, port: $0.port) } ?? address
            do throws(BerthError) {
                let socket = try ListeningSocket(tcp: wanted, loop: first.loop) { [self] descriptor, peer in
                    distribute(descriptor, from: peer)
                }
                let address = keep(socket)
                bound = bound ?? address
            } catch {
                guard error.code == .invalidValue else { throw error }
                absent = error
            }
        }
        guard let bound else { throw absent ?? BerthError(.unavailable, "the name to listen on has no address") }
        return bound
    }

    private func keep(_ socket: ListeningSocket) -> SocketAddress {
        let place = places[0]
        socket.onExhaustion = { [self] error in exhausted(error, at: place) }
        place.listeners.append(socket)
        return socket.address
    }

    /// The kernel's own way of sharing a port goes by a hash of the peer's address: of a few long connections one loop
    /// may get most. Here the counts never differ by more than what has ended since.
    private func distribute(_ descriptor: CInt, from peer: SocketAddress?) {
        let turn = nextPlace.wrappingAdd(1, ordering: .relaxed).oldValue
        var best = places[turn % places.count]
        for step in 1..<max(2, places.count) {
            let place = places[(turn + step) % places.count]
            if place.load.load(ordering: .relaxed) < best.load.load(ordering: .relaxed) { best = place }
        }
        best.load.wrappingAdd(1, ordering: .relaxed)
        best.loop.execute { [best] in
            if !self.accept(descriptor, from: peer, at: best) { best.load.wrappingSubtract(1, ordering: .relaxed) }
        }
    }

    /// Whether there is a connection now, which will be told to have ended.
    private func accept(_ descriptor: CInt, from peer: SocketAddress?, at place: ServerPlace) -> Bool {
        let peer = peer?.unmapped
        let isProxy = peer.map { isTrusted($0) } ?? configuration.trustedProxies.contains { $0.isUnix }
        let group = isProxy ? nil : peer.flatMap { ClientGroup($0) }
        let admission = counts.admit(
            group,
            limit: configuration.maximumConnections,
            groupLimit: groupLimit(group)
        )
        switch admission {
        case .dropped(let fault):
            close(descriptor)
            faults.report(fault, peer: peer.map { .tcp($0) }, detail: "dropped", at: place.loop.now)
            return false
        case .refused(let status, let fault):
            faults.report(fault, peer: peer.map { .tcp($0) }, detail: "answered with \(status)", at: place.loop.now)
        case .welcome: break
        }
        do {
            let socket = try Socket(adopting: descriptor, loop: place.loop)
            let who: HTTPPeer
            var tls: TLSSession?
            if let peer {
                socket.setNoDelay()
                socket.setKeepAlive()
                who = .tcp(peer)
                tls = try secure(socket)
            } else {
                let process = socket.peerProcess
                who = .unix(userID: process?.userID, processID: process?.processID)
            }
            let connection = ServerConnection(
                stream: ByteStream(socket, tls: tls),
                peer: who,
                isProxy: isProxy,
                group: group,
                server: self,
                place: place
            )
            place.connections[ObjectIdentifier(connection)] = connection
            if case .refused(let status, _) = admission {
                connection.start(refusing: status)
            } else {
                connection.start(refusing: place.isDraining ? 503 : nil)
            }
            return true
        } catch {
            counts.leave(group)
            faults.report(.exhausted, peer: peer.map { .tcp($0) }, detail: error.description, at: place.loop.now)
            return false
        }
    }

    func isTrusted(_ address: SocketAddress) -> Bool { configuration.trustedProxies.contains { $0.contains(address) } }

    private func exhausted(_ error: BerthError, at place: ServerPlace) {
        faults.report(.exhausted, peer: nil, detail: error.description, at: place.loop.now)
    }

    func groupLimit(_ group: ClientGroup?) -> Int {
        group?.isLoopback == true
            ? configuration.maximumConnectionsFromLoopback : configuration.maximumConnectionsPerClient
    }

    private func secure(_ socket: Socket) throws(BerthError) -> TLSSession? {
        guard let identity = configuration.tls else { return nil }
        do {
            return try TLSSession(server: identity.context)
        } catch {
            socket.close()
            throw error
        }
    }

    func ended(_ connection: ServerConnection, at place: ServerPlace) {
        guard place.connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        place.load.wrappingSubtract(1, ordering: .relaxed)
        counts.leave(connection.group)
        guard place.connections.isEmpty else { return }
        let waiters = place.emptyWaiters
        place.emptyWaiters = []
        for waiter in waiters { waiter.resume() }
    }

    /// Accepts no more connections, closes idle ones, lets running requests end and WebSockets close with 1001, and
    /// closes whatever is left after `grace`.
    public func shutdown(drainingFor grace: Duration) async {
        for place in places {
            try? await place.loop.run {
                place.isDraining = true
                for listener in place.listeners { listener.close() }
                place.listeners = []
                for connection in Array(place.connections.values) { connection.drain() }
            }
        }
        for place in places {
            let deadline = place.loop.time.uptime + grace
            try? await place.loop.suspend(until: deadline, what: "the shutdown") { (waiter: Waiter<Void>) in
                if place.connections.isEmpty { waiter.resume() } else { place.emptyWaiters.append(waiter) }
            }
            try? await place.loop.run {
                for connection in Array(place.connections.values) { connection.abort() }
            }
        }
        faults.close()
    }
}

/// What a server keeps on one loop. `@unchecked Sendable`: touched only there.
final class ServerPlace: @unchecked Sendable {
    let loop: EventLoop
    var listeners: [ListeningSocket] = []
    var connections: [ObjectIdentifier: ServerConnection] = [:]
    var emptyWaiters: [Waiter<Void>] = []
    var isDraining = false
    var compressors = GzipWriter.Pool()
    let compression = CompressionPool()
    /// Connections that are here or on their way; the accepting loop looks at it.
    let load = Atomic<Int>(0)
    /// The body of all requests that have none.
    let noBody: (BodyBuffer, IncomingBody)
    private var date = HTTPDate()

    init(loop: EventLoop) {
        self.loop = loop
        let buffer = BodyBuffer(loop: loop)
        buffer.finish()
        noBody = (buffer, IncomingBody(buffer))
    }

    func currentDate() -> HTTPDate {
        date.update(loop.time.now)
        return date
    }
}
