internal import Base
internal import CUV
internal import Glibc

/// One question by UDP: sends it from a port of its own and waits for the datagram that answers it. Others are dropped,
/// so a guess by a third party needs the port and the id.
///
/// `@unchecked Sendable`: touched only on its loop.
final class DNSDatagram: PollTarget, @unchecked Sendable {
    private let server: SocketAddress
    private let loop: EventLoop
    private let isAnswer: ([UInt8]) -> Bool
    private var state = State.fresh

    private enum State {
        case fresh  // → asking, finished
        case asking(CInt, PollHandle, Waiter<[UInt8]>)  // → finished
        case finished
    }

    private init(server: SocketAddress, loop: EventLoop, isAnswer: @escaping ([UInt8]) -> Bool) {
        self.server = server
        self.loop = loop
        self.isAnswer = isAnswer
    }

    /// The first datagram that `isAnswer` takes.
    static func ask(
        _ question: [UInt8],
        _ server: SocketAddress,
        loop: EventLoop,
        until deadline: Uptime,
        isAnswer: @escaping @Sendable ([UInt8]) -> Bool
    ) async throws -> [UInt8] {
        let exchange = DNSDatagram(server: server, loop: loop, isAnswer: isAnswer)
        do {
            return try await loop.suspend(until: deadline, what: "the name server \(server.host)") {
                exchange.begin(question, $0)
            }
        } catch {
            loop.execute { exchange.finish(.failure(CancellationError())) }
            throw error
        }
    }

    private func begin(_ question: [UInt8], _ waiter: Waiter<[UInt8]>) {
        guard case .fresh = state else { return }
        let type = CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(server.domain, type, 0)
        state = .finished
        guard descriptor >= 0 else {
            waiter.resume(throwing: failure(errno))
            return
        }
        // Connected, so that only this server's datagrams arrive, and its refusal (ICMP), too.
        guard server.withSockaddr({ Glibc.connect(descriptor, $0, $1) }) == 0,
            send(descriptor, question, question.count, CInt(MSG_NOSIGNAL)) == question.count
        else {
            waiter.resume(throwing: failure(errno))
            Glibc.close(descriptor)
            return
        }
        do {
            let handle = try PollHandle(loop: loop, descriptor: descriptor, target: self)
            state = .asking(descriptor, handle, waiter)
            handle.watch(reading: true, writing: false)
        } catch {
            Glibc.close(descriptor)
            waiter.resume(throwing: error)
        }
    }

    func ready(_ readiness: Readiness) {
        guard case .asking(let descriptor, _, _) = state else { return }
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &bytes, bytes.count, 0)
            if count >= 0 {
                let datagram = Array(bytes[..<count])
                if isAnswer(datagram) { return finish(.success(datagram)) }
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                return finish(.failure(failure(errno)))
            }
        }
    }

    func loopStops() { finish(.failure(Socket.closedError)) }

    private func finish(_ result: Result<[UInt8], any Error>) {
        let before = state
        state = .finished
        guard case .asking(let descriptor, let handle, let waiter) = before else { return }
        handle.close()
        Glibc.close(descriptor)
        switch result {
        case .success(let bytes): waiter.resume(returning: bytes)
        case .failure(let error): waiter.resume(throwing: error)
        }
    }

    private func failure(_ number: CInt) -> BerthError {
        BerthError(errno: number, "cannot ask the name server \(server.host)")
    }
}
