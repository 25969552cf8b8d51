public import Base
internal import CUV

/// The memory of one libuv handle. libuv holds a reference to the object until the handle's close callback has run,
/// which is also where the memory is freed; so a handle is closed once and never freed under libuv.
class LoopHandle {
    let loop: EventLoop
    private(set) var raw: UnsafeMutableRawPointer?

    init(
        loop: EventLoop,
        type: uv_handle_type,
        what: @autoclosure () -> String,
        initialise: (UnsafeMutablePointer<uv_loop_t>, UnsafeMutableRawPointer) -> CInt
    ) throws(BerthError) {
        loop.preconditionCurrent()
        self.loop = loop
        let memory = UnsafeMutableRawPointer.allocate(byteCount: uv_handle_size(type), alignment: 16)
        let status = initialise(loop.uv, memory)
        guard status == 0 else {
            memory.deallocate()
            throw BerthError(uv: status, what())
        }
        raw = memory
        memory.assumingMemoryBound(to: uv_handle_t.self).pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    func close() {
        guard let raw else { return }
        self.raw = nil
        uv_close(raw.assumingMemoryBound(to: uv_handle_t.self)) { handle in
            guard let handle, let data = handle.pointee.data else { return }
            Unmanaged<LoopHandle>.fromOpaque(data).release()
            UnsafeMutableRawPointer(handle).deallocate()
        }
    }

    /// The loop ends with this handle still open.
    func loopStops() { close() }
}

extension BerthError {
    /// A libuv status, which is a negated errno on Linux.
    init(uv status: CInt, _ message: String, code: ErrorCode = .internal) {
        self.init(code, "\(message): \(String(cString: uv_strerror(status)))")
    }

    /// An errno as a network error that names what was tried.
    public init(errno number: CInt, _ message: String, code: ErrorCode = .network) {
        self.init(
            code,
            "\(message): \(String(cString: uv_strerror(-number)))",
            detail: "errno \(number)",
            isRetryable: code == .network
        )
    }
}
