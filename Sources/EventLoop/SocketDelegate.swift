public import Base

/// What a socket tells its owner, always on its loop.
public protocol SocketDelegate: AnyObject {
    /// `bytes` are valid only during the call.
    func socketReceived(_ bytes: UnsafeRawBufferPointer)
    /// The peer sends no more; writing may still work.
    func socketInputEnded()
    /// Bytes that had to wait were taken by the kernel.
    func socketProgressed()
    /// Once, and last. nil after an orderly end.
    func socketClosed(_ error: BerthError?)
}

extension SocketDelegate {
    public func socketProgressed() {}
}
