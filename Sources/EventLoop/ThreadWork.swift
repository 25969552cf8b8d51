internal import Base
internal import CUV

extension EventLoop {
    /// Runs `body`, which may block for a moment, on one of libuv's threads.
    public func runElsewhere<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async throws -> Value {
        try await suspend { waiter in
            ThreadWork(body) { waiter.resume(returning: $0) }.begin(on: self) { waiter.resume(throwing: $0) }
        }
    }
}

/// One uv_queue_work; libuv holds a reference from `begin` to its callback on the loop.
private class AnyThreadWork {
    private let request = UnsafeMutablePointer<uv_work_t>.allocate(capacity: 1)

    deinit { request.deallocate() }

    func perform() {}
    func finish() {}

    func begin(on loop: EventLoop, _ fail: (BerthError) -> Void) {
        let retained = Unmanaged.passRetained(self)
        request.pointee.data = retained.toOpaque()
        let status = uv_queue_work(
            loop.uv,
            request,
            { request in
                guard let data = request?.pointee.data else { return }
                Unmanaged<AnyThreadWork>.fromOpaque(data).takeUnretainedValue().perform()
            },
            { request, _ in
                guard let data = request?.pointee.data else { return }
                Unmanaged<AnyThreadWork>.fromOpaque(data).takeRetainedValue().finish()
            }
        )
        guard status != 0 else { return }
        retained.release()
        fail(BerthError(uv: status, "cannot start work on a thread"))
    }
}

private final class ThreadWork<Value: Sendable>: AnyThreadWork {
    private let body: @Sendable () -> Value
    private let deliver: (Value) -> Void
    private var value: Value?

    init(_ body: @escaping @Sendable () -> Value, _ deliver: @escaping (Value) -> Void) {
        self.body = body
        self.deliver = deliver
    }

    override func perform() { value = body() }
    override func finish() { if let value { deliver(value) } }
}
