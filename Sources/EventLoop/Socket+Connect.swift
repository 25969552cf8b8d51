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
        try await connect(toFirstOf: [address], loop: loop, until: deadline)
    }

    /// A connection to the address that answers first: the next one is tried when one fails or has not answered for a
    /// quarter of a second (RFC 8305).
    public static func connect(
        toFirstOf addresses: [SocketAddress],
        loop: EventLoop,
        until deadline: Uptime? = nil
    ) async throws -> Socket {
        let race = ConnectRace(addresses, loop: loop)
        let names = addresses.map(\.description).joined(separator: " or ")
        do {
            return try await loop.suspend(until: deadline, what: "connecting to \(names)") { race.begin($0) }
        } catch {
            loop.execute { race.abandon() }
            throw error
        }
    }
}

/// Several attempts of which one is to win.
///
/// `@unchecked Sendable`: touched only on its loop.
private final class ConnectRace: @unchecked Sendable {
    private let loop: EventLoop
    private var plan: HappyEyeballs
    private var attempts: [ConnectAttempt] = []
    private var failures: [BerthError] = []
    private var waiter: Waiter<Socket>?
    private var timer: LoopTimer?

    init(_ addresses: [SocketAddress], loop: EventLoop) {
        self.loop = loop
        plan = HappyEyeballs(addresses)
    }

    func begin(_ waiter: Waiter<Socket>) {
        self.waiter = waiter
        take(plan.next())
    }

    private func take(_ first: HappyEyeballs.Step) {
        var step = first
        while waiter != nil {
            switch step {
            case .wait: return
            case .giveUp: return finish(throwing: failure)
            case .begin(let address):
                let attempt = ConnectAttempt(address, loop: loop) { [weak self] attempt, outcome in
                    self?.ended(attempt, outcome)
                }
                attempts.append(attempt)
                guard let error = attempt.begin() else { return setPause() }
                attempts.removeLast()
                failures.append(error)
                step = plan.failed()
            }
        }
    }

    private func setPause() {
        guard plan.hasMore else { return }
        let timer = timer ?? LoopTimer(loop: loop) { [weak self] in self.map { $0.take($0.plan.next()) } }
        self.timer = timer
        timer.set(after: HappyEyeballs.pause)
    }

    private func ended(_ attempt: ConnectAttempt, _ outcome: ConnectAttempt.Outcome) {
        attempts.removeAll { $0 === attempt }
        switch outcome {
        case .failed(let error):
            failures.append(error)
            take(plan.failed())
        case .connected(let descriptor): deliver(descriptor, to: attempt.address)
        case .loopStopped: finish(throwing: Socket.closedError)
        }
    }

    /// Gives the socket over, or closes it when nobody waits any more.
    private func deliver(_ descriptor: CInt, to address: SocketAddress) {
        guard let waiter else {
            Glibc.close(descriptor)
            return
        }
        self.waiter = nil
        abandon()
        do {
            let socket = try Socket(adopting: descriptor, loop: loop)
            if address.family != .unix { socket.setNoDelay() }
            if !waiter.resume(returning: socket) { socket.close() }
        } catch {
            waiter.resume(throwing: error)
        }
    }

    func abandon() {
        timer?.close()
        timer = nil
        let running = attempts
        attempts = []
        for attempt in running { attempt.abandon() }
        finish(throwing: CancellationError())
    }

    private func finish(throwing error: any Error) {
        waiter?.resume(throwing: error)
        waiter = nil
        timer?.close()
        timer = nil
    }

    private var failure: BerthError {
        guard var first = failures.first else { return BerthError(.network, "the host has no address") }
        if failures.count > 1 { first.message = failures.map(\.message).joined(separator: "; ") }
        return first
    }
}

/// One address being connected to.
private final class ConnectAttempt: PollTarget {
    enum Outcome {
        case connected(CInt)
        case failed(BerthError)
        case loopStopped
    }

    let address: SocketAddress
    private let loop: EventLoop
    private let ended: (ConnectAttempt, Outcome) -> Void
    private var state = State.fresh

    private enum State {
        case fresh  // → connecting, finished
        case connecting(CInt, PollHandle)  // → finished
        case finished
    }

    init(
        _ address: SocketAddress,
        loop: EventLoop,
        ended: @escaping (ConnectAttempt, Outcome) -> Void
    ) {
        self.address = address
        self.loop = loop
        self.ended = ended
    }

    /// The error of an attempt that cannot even begin; `ended` is told of everything later.
    func begin() -> BerthError? {
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.domain, type, 0)
        guard descriptor >= 0 else { return failure(errno) }
        let status = address.withSockaddr { Glibc.connect(descriptor, $0, $1) }
        let reason = errno
        guard status == 0 || reason == EINPROGRESS else {
            Glibc.close(descriptor)
            return failure(reason)
        }
        do {
            // A connection that stands already, as to a unix socket, is writable at once.
            let handle = try PollHandle(loop: loop, descriptor: descriptor, target: self)
            state = .connecting(descriptor, handle)
            handle.watch(reading: false, writing: true)
            return nil
        } catch {
            Glibc.close(descriptor)
            return error
        }
    }

    func ready(_ readiness: Readiness) {
        guard case .connecting(let descriptor, let handle) = state else { return }
        var status: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &status, &length)
        state = .finished
        handle.close()
        guard status == 0 else {
            Glibc.close(descriptor)
            return ended(self, .failed(failure(status)))
        }
        ended(self, .connected(descriptor))
    }

    func abandon() {
        guard case .connecting(let descriptor, let handle) = state else { return }
        state = .finished
        handle.close()
        Glibc.close(descriptor)
    }

    func loopStops() {
        abandon()
        ended(self, .loopStopped)
    }

    private func failure(_ number: CInt) -> BerthError { BerthError(errno: number, "cannot connect to \(address)") }
}
