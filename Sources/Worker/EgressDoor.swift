internal import Base
internal import Domain
internal import EventLoop
internal import Glibc
internal import Relay

/// The way out of an environment that has an allow-list and no other network: names resolve to loopback addresses here,
/// and a connection to one of those is handed to the server, which alone decides and connects. Lives on the loop.
actor EgressDoor {
    nonisolated let loop: EventLoop
    private let log: Log
    private var pins = NamePins()
    private var listeners: [NamePins.Place: ListeningSocket] = [:]
    private var names: Descriptor?
    private var link: LinkChannels?

    private static let loopback = "127.0.0.1"
    private static let port = 53
    /// A question fits; a longer datagram is none.
    private static let longestQuestion = 1232

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }

    init(loop: EventLoop, log: Log) {
        self.loop = loop
        self.log = log
    }

    /// What may be reached from now on, through this connection.
    func open(_ rules: [NetworkRule], through link: LinkChannels) {
        self.link = link
        pins.set(rules)
        if names == nil { answerNames() }
        listen()
    }

    /// The connection is gone; what is tried meanwhile is refused.
    func leave(_ link: LinkChannels) { if self.link === link { self.link = nil } }

    /// Nothing new at places that are no longer allowed; the server cuts what is open.
    private func listen() {
        let wanted = pins.places
        for place in listeners.keys.sorted(by: { $0.name < $1.name }) where !wanted.contains(place) {
            listeners.removeValue(forKey: place)?.close()
        }
        for place in wanted where listeners[place] == nil {
            guard let address = SocketAddress(numericHost: place.host, port: place.port) else { continue }
            do {
                listeners[place] = try ListeningSocket(tcp: address, loop: loop) { [weak self] descriptor, _ in
                    guard let self else {
                        Glibc.close(descriptor)
                        return
                    }
                    self.assumeIsolated { $0.accepted(descriptor, place) }
                }
            } catch {
                log.warning("no way out for a name", ["name": place.name, "port": place.port, "error": error.message])
            }
        }
    }

    private func accepted(_ descriptor: CInt, _ place: NamePins.Place) {
        guard let socket = try? Socket(adopting: descriptor, loop: loop) else {
            Glibc.close(descriptor)
            return
        }
        socket.setNoDelay()
        guard let link else { return socket.reset() }
        link.dial(place.name, port: place.port, for: socket)
    }

    // MARK: Names

    private func answerNames() {
        let type = CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let socket = Glibc.socket(AF_INET, type, 0)
        guard socket >= 0, let address = Self.address() else { return }
        var place = address
        let bound = withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0 else {
            log.warning("names are not answered", ["errno": errno])
            Glibc.close(socket)
            return
        }
        let descriptor = Descriptor(socket, loop: loop, closingFile: true)
        names = descriptor
        loop.spawn { [weak self] in
            while (try? await descriptor.readable()) != nil {
                guard let self else { break }
                await self.answer(socket)
            }
            descriptor.closeSoon()
        }
    }

    private static func address() -> sockaddr_in? {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        return inet_pton(AF_INET, loopback, &address.sin_addr) == 1 ? address : nil
    }

    /// All that wait.
    private func answer(_ socket: CInt) {
        var buffer = [UInt8](repeating: 0, count: Self.longestQuestion)
        while true {
            var peer = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let count = withUnsafeMutablePointer(to: &peer) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(socket, &buffer, buffer.count, 0, $0, &length)
                }
            }
            guard count >= 0 else { return }
            guard let question = NameQuestion(Array(buffer[..<count])) else { continue }
            let before = pins.places.count
            let answer = question.answer(pins.address(of: question.name))
            if pins.places.count != before { listen() }
            _ = withUnsafePointer(to: &peer) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(socket, answer, answer.count, 0, $0, length)
                }
            }
        }
    }
}
