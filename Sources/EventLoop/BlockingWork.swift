internal import Base
internal import CUV

extension EventLoop {
    /// Runs `body`, which may block for a while (a disk), on one of libuv's threads. A cancelled caller goes on at once,
    /// and `body` to its end.
    public func blocking<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async throws -> Value {
        try await suspend { (waiter: Waiter<Value>) in
            let work = BlockingWork { waiter.resume(returning: body()) }
            do {
                try work.begin(on: self)
            } catch {
                waiter.resume(throwing: error)
            }
        }
    }
}

/// One uv_queue_work; libuv holds a reference from `begin` to its last callback.
private final class BlockingWork: Sendable {
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    func begin(on loop: EventLoop) throws(BerthError) {
        let request = UnsafeMutablePointer<uv_work_t>.allocate(capacity: 1)
        let retained = Unmanaged.passRetained(self)
        request.pointee.data = retained.toOpaque()
        let status = uv_queue_work(
            loop.uv,
            request,
            { request in
                guard let data = request?.pointee.data else { return }
                Unmanaged<BlockingWork>.fromOpaque(data).takeUnretainedValue().body()
            },
            { request, _ in
                guard let request else { return }
                Unmanaged<BlockingWork>.fromOpaque(request.pointee.data).release()
                request.deallocate()
            }
        )
        guard status != 0 else { return }
        retained.release()
        request.deallocate()
        throw BerthError(uv: status, "cannot run work beside the loop")
    }
}
