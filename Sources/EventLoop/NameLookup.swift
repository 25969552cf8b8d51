public import Base
internal import CUV
internal import Glibc

extension EventLoop {
    /// The stream addresses of `host` in the system's order of preference; a numeric host needs no lookup. The lookup
    /// runs on libuv's threads. Throws `network` when the name is unknown.
    public func lookUp(host: String, port: Int, until deadline: Uptime? = nil) async throws -> [SocketAddress] {
        if let numeric = SocketAddress(numericHost: host, port: port) { return [numeric] }
        guard (0...65535).contains(port) else { throw BerthError(.invalidValue, "\(port) is not a port") }
        return try await suspend(until: deadline, what: "looking up '\(host)'") { waiter in
            let request = NameLookup(host: host, waiter: waiter)
            request.begin(on: self, port: port)
        }
    }
}

/// One uv_getaddrinfo; libuv holds a reference from `begin` to its callback.
private final class NameLookup {
    private let host: String
    private let waiter: Waiter<[SocketAddress]>
    private let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)

    init(host: String, waiter: Waiter<[SocketAddress]>) {
        self.host = host
        self.waiter = waiter
    }

    deinit { request.deallocate() }

    func begin(on loop: EventLoop, port: Int) {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        let retained = Unmanaged.passRetained(self)
        request.pointee.data = retained.toOpaque()
        let status = uv_getaddrinfo(
            loop.uv,
            request,
            { request, status, results in
                defer { uv_freeaddrinfo(results) }
                guard let data = request?.pointee.data else { return }
                Unmanaged<NameLookup>.fromOpaque(data).takeRetainedValue().finish(status, results)
            },
            host,
            String(port),
            &hints
        )
        guard status != 0 else { return }
        retained.release()
        finish(status, nil)
    }

    private func finish(_ status: CInt, _ results: UnsafeMutablePointer<addrinfo>?) {
        var addresses: [SocketAddress] = []
        var next = results
        while let result = next {
            next = result.pointee.ai_next
            guard let raw = result.pointee.ai_addr,
                let address = SocketAddress(raw, length: Int(result.pointee.ai_addrlen))
            else { continue }
            addresses.append(address)
        }
        if status == 0, !addresses.isEmpty {
            waiter.resume(returning: addresses)
        } else {
            let reason = status == 0 ? "no address" : String(cString: uv_strerror(status))
            waiter.resume(
                throwing: BerthError(.network, "cannot look up the host '\(host)': \(reason)", isRetryable: true)
            )
        }
    }
}
