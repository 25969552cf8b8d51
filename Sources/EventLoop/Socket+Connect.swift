public import Base
internal import CUV
internal import Glibc

extension Socket {
    /// A connection to `address`, which the caller reads from by setting a delegate and ``resumeReading()``.
    /// Cancellation and `deadline` (`timedOut`) end the attempt.
    public static func connect(
        to address: SocketAddress,
        loop: EventLoop,
        until deadline: Uptime? = nil
    ) async throws -> Socket {
        let attempt = Attempt(address: address, loop: loop)
        do {
            return try await loop.suspend(until: deadline, what: "connecting to \(address)") { attempt.begin($0) }
        } catch {
            loop.execute { attempt.abandon() }
            throw error
        }
    }
}

/// `@unchecked Sendable`: touched only on its loop.
private final class Attempt: PollTarget, @unchecked Sendable {
    private let address: SocketAddress
    private let loop: EventLoop
    private var state = State.fresh

    private enum State {
        case fresh  // → connecting, finished
        case connecting(CInt, PollHandle, Waiter<Socket>)  // → finished
        case finished
    }

    init(address: SocketAddress, loop: EventLoop) {
        self.address = address
        self.loop = loop
    }

    func begin(_ waiter: Waiter<Socket>) {
        guard case .fresh = state else { return }
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.domain, type, 0)
        guard descriptor >= 0 else {
            state = .finished
            waiter.resume(throwing: BerthError(errno: errno, "cannot connect to \(address)"))
            return
        }
        let status = address.withSockaddr { Glibc.connect(descriptor, $0, $1) }
        let reason = errno
        do {
            if status == 0 {
                state = .finished
                deliver(descriptor, to: waiter)
            } else if reason == EINPROGRESS {
                let handle = try PollHandle(loop: loop, descriptor: descriptor, target: self)
                state = .connecting(descriptor, handle, waiter)
                handle.watch(reading: false, writing: true)
            } else {
                throw BerthError(errno: reason, "cannot connect to \(address)")
            }
        } catch {
            state = .finished
            Glibc.close(descriptor)
            waiter.resume(throwing: error)
        }
    }

    func ready(_ readiness: Readiness) {
        guard case .connecting(let descriptor, let handle, let waiter) = state else { return }
        var status: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &status, &length)
        if status != 0 { return finish(throwing: BerthError(errno: status, "cannot connect to \(address)")) }
        state = .finished
        handle.close()
        deliver(descriptor, to: waiter)
    }

    func abandon() { finish(throwing: CancellationError()) }

    private func finish(throwing error: any Error) {
        let before = state
        state = .finished
        guard case .connecting(let descriptor, let handle, let waiter) = before else { return }
        handle.close()
        Glibc.close(descriptor)
        waiter.resume(throwing: error)
    }

    /// Gives the socket over, or closes it when nobody waits any more.
    private func deliver(_ descriptor: CInt, to waiter: Waiter<Socket>) {
        do {
            let socket = try Socket(adopting: descriptor, loop: loop)
            if address.family != .unix { socket.setNoDelay() }
            if !waiter.resume(returning: socket) { socket.close() }
        } catch {
            waiter.resume(throwing: error)
        }
    }

    func loopStops() { finish(throwing: Socket.closedError) }
}
