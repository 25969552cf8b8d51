internal import Base
internal import Glibc

/// Readiness of any pollable descriptor (pipe, PTY, socket, eventfd; not a regular file). The descriptor becomes
/// non-blocking. Readiness is a hint: read or write until EAGAIN, then wait again.
///
/// `@unchecked Sendable`: state is touched only on `loop`; the public methods go there.
public final class Descriptor: @unchecked Sendable {
    public let fileDescriptor: CInt
    public let loop: EventLoop
    private let closesFile: Bool
    private var state = State.idle
    private var readers: [Waiter<Void>] = []
    private var writers: [Waiter<Void>] = []

    private enum State {
        case idle  // → watching, closed
        case watching(PollHandle)  // → closed
        case closed
    }

    /// With `closingFile` the loop closes the descriptor itself once it has let go of it.
    public init(_ fileDescriptor: CInt, loop: EventLoop, closingFile: Bool = false) {
        self.fileDescriptor = fileDescriptor
        self.loop = loop
        closesFile = closingFile
    }

    /// Returns when a read would not block (data, end or error); throws `CancellationError`, or `network` when closed.
    public func readable() async throws {
        try await loop.suspend { waiter in self.add(waiter, to: \.readers) }
    }

    /// Returns when a write would not block.
    public func writable() async throws {
        try await loop.suspend { waiter in self.add(waiter, to: \.writers) }
    }

    /// Ends the watching; waiting callers get an error. Without `closingFile` the file may be closed once this returns.
    public func close() async {
        try? await loop.run { self.finish() }
    }

    /// As ``close()``, without waiting for the loop; for use with `closingFile`.
    public func closeSoon() { loop.execute { self.finish() } }

    private func add(_ waiter: Waiter<Void>, to list: ReferenceWritableKeyPath<Descriptor, [Waiter<Void>]>) {
        do {
            let handle: PollHandle
            switch state {
            case .closed: throw Self.closedError
            case .watching(let open): handle = open
            case .idle:
                handle = try PollHandle(loop: loop, descriptor: fileDescriptor, target: self)
                state = .watching(handle)
            }
            self[keyPath: list].removeAll { !$0.isWaiting }
            self[keyPath: list].append(waiter)
            handle.watch(reading: !readers.isEmpty, writing: !writers.isEmpty)
        } catch {
            waiter.resume(throwing: error)
        }
    }

    private static var closedError: BerthError { BerthError(.network, "the descriptor is no longer watched") }

    private func finish() {
        if case .closed = state { return }
        if case .watching(let handle) = state { handle.close() }
        state = .closed
        let waiters = readers + writers
        readers = []
        writers = []
        for waiter in waiters { waiter.resume(throwing: Self.closedError) }
        if closesFile { Glibc.close(fileDescriptor) }
    }
}

extension Descriptor: PollTarget {
    func ready(_ readiness: Readiness) {
        guard case .watching(let handle) = state else { return }
        // An error of the watching shows itself in the caller's next read or write.
        let woken =
            (readiness.isReadable || readiness.error != 0 ? readers : [])
            + (readiness.isWritable || readiness.error != 0 ? writers : [])
        if readiness.isReadable || readiness.error != 0 { readers = [] }
        if readiness.isWritable || readiness.error != 0 { writers = [] }
        handle.watch(reading: !readers.isEmpty, writing: !writers.isEmpty)
        for waiter in woken { waiter.resume() }
    }

    func loopStops() { finish() }
}
