internal import Base
public import EventLoop
internal import Glibc
public import HolderProtocol

/// The worker's connection to its holder. Lives on one loop; requests may be in flight side by side.
///
/// A worker that starts anew connects, lists the children that outlived its predecessor and goes on with their
/// descriptors. It stays connected until ``close()`` or the holder's end.
public actor HolderClient {
    /// Exits are announced here as they happen, the oldest dropped after this many unread; `list` tells of all that are
    /// not forgotten.
    public static let eventCapacity = 4096

    public nonisolated let events: AsyncStream<HolderEvent>
    /// The holder's process number, in its own pid namespace.
    public private(set) var holderPID: Int32 = 0

    struct Answer: Sendable {
        var reply: Reply
        var descriptors: [Int32]
    }

    private enum State {
        case open  // → closed
        case closed(BerthError)
    }

    nonisolated let loop: EventLoop
    private let socket: Int32
    private let descriptor: Descriptor
    private var state = State.open
    private var nextNumber: UInt64 = 1
    private var pending: [UInt64: (request: Request, continuation: CheckedContinuation<Answer, any Error>)] = [:]
    private var input = FrameBuffer()
    private var received: [Int32] = []
    private var output: [(bytes: ArraySlice<UInt8>, descriptors: [Int32])] = []
    private var isFlushing = false
    private let announce: AsyncStream<HolderEvent>.Continuation
    /// Exits of children that were not forgotten yet.
    private var exits: [String: Exit] = [:]
    /// Children whose exit, if it has not come yet, will come over this connection.
    private var started: Set<String> = []
    private var exitWaiters: [(number: UInt64, id: String, continuation: CheckedContinuation<Exit, any Error>)] = []

    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.serialExecutor.asUnownedSerialExecutor()
    }

    /// Connects and agrees on the version. Throws `unavailable` when nobody listens at `path`.
    public static func connect(to path: String, loop: EventLoop) async throws -> HolderClient {
        let socket = UnixSocket.connect(to: path)
        guard socket >= 0 else {
            throw BerthError(
                .unavailable,
                "no holder answers at '\(path)'",
                detail: String(cString: strerror(-socket)),
                isRetryable: true
            )
        }
        let client = HolderClient(socket: socket, loop: loop)
        loop.spawn { await client.readUntilClosed() }
        do {
            try await client.greet()
        } catch {
            await client.close()
            throw error
        }
        return client
    }

    private init(socket: Int32, loop: EventLoop) {
        self.socket = socket
        self.loop = loop
        descriptor = Descriptor(socket, loop: loop, closingFile: true)
        (events, announce) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.eventCapacity))
    }

    private func greet() async throws {
        let answer = try await ask(.hello(version: holderProtocolVersion))
        guard case .hello(_, let pid) = answer.reply else { throw Self.unexpected(answer) }
        holderPID = pid
    }

    /// Ends the connection; the holder and its children live on.
    public func close() { end(.holderGone("closed by the worker")) }

    static func unexpected(_ answer: Answer) -> BerthError {
        for descriptor in answer.descriptors { Glibc.close(descriptor) }
        return BerthError(.protocolViolation, "the holder gave an answer that does not fit the question")
    }
}

// Requests.
extension HolderClient {
    /// `descriptor` stays the caller's.
    func ask(_ request: Request, descriptor: Int32? = nil) async throws -> Answer {
        let number = takeNumber()
        let frame = request.frame(number: number)
        guard frame.count - FrameHeader.size <= FrameHeader.maximumPayload else {
            throw BerthError(
                .tooLarge,
                "arguments and environment of a child have \(frame.count) bytes",
                remedy: "at most \(FrameHeader.maximumPayload) fit; pass large texts as input"
            )
        }
        let answer = try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Answer, any Error>) in
                if case .closed(let error) = state { return continuation.resume(throwing: error) }
                if Task.isCancelled { return continuation.resume(throwing: CancellationError()) }
                pending[number] = (request, continuation)
                let copies = descriptor.map { [fcntl($0, F_DUPFD_CLOEXEC, 3)] } ?? []
                output.append((frame[...], copies))
                flush()
            }
        } onCancel: {
            loop.execute { self.assumeIsolated { $0.abandon(number) } }
        }
        if case .failure(let failure) = answer.reply { throw BerthError.holder(failure, request: request) }
        return answer
    }

    private func takeNumber() -> UInt64 {
        defer { nextNumber += 1 }
        return nextNumber
    }

    private func abandon(_ number: UInt64) {
        pending.removeValue(forKey: number)?.continuation.resume(throwing: CancellationError())
    }

    private func flush() {
        while let first = output.first {
            let sent = first.bytes.withUnsafeBytes {
                DescriptorSocket.send($0, descriptors: first.descriptors, to: socket)
            }
            if sent < 0 { return end(.holderGone("errno \(-sent)")) }
            if sent == 0 { return flushWhenWritable() }
            for descriptor in first.descriptors { Glibc.close(descriptor) }
            let rest = first.bytes.dropFirst(sent)
            if rest.isEmpty { output.removeFirst() } else { output[0] = (rest, []) }
        }
    }

    private func flushWhenWritable() {
        if isFlushing { return }
        isFlushing = true
        loop.spawn { await self.continueFlush() }
    }

    private func continueFlush() async {
        try? await descriptor.writable()
        isFlushing = false
        if case .open = state { flush() }
    }
}

// Answers and events.
extension HolderClient {
    private func readUntilClosed() async {
        do {
            while case .open = state {
                try await descriptor.readable()
                try receive()
            }
        } catch {
            end(.holderGone(String(describing: error)))
        }
    }

    private func receive() throws {
        guard case .open = state else { return }
        try withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 8) { buffer in
            while true {
                switch DescriptorSocket.receive(into: buffer, descriptors: &received, from: socket) {
                case .bytes(let count): input.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                case .wouldBlock: return
                case .closed: throw BerthError.holderGone("end of stream")
                }
                while let frame = try input.next() { try take(frame) }
            }
        }
    }

    private func take(_ frame: Frame) throws {
        let count = Int(frame.header.descriptorCount)
        guard received.count >= count else { throw WireError.missingDescriptor }
        let descriptors = Array(received.prefix(count))
        received.removeFirst(count)
        switch try HolderMessage(frame) {
        case .reply(let reply, let number):
            let answer = Answer(reply: reply, descriptors: descriptors)
            guard let waiting = pending.removeValue(forKey: number) else {
                _ = Self.unexpected(answer)
                return
            }
            waiting.continuation.resume(returning: answer)
        case .event(.exited(let status)):
            announce.yield(.exited(status))
            guard case .exited(let exit) = status.state else { return }
            exits[status.id] = exit
            let woken = exitWaiters.filter { $0.id == status.id }
            exitWaiters.removeAll { $0.id == status.id }
            for waiter in woken { waiter.continuation.resume(returning: exit) }
        }
    }

    private func end(_ error: BerthError) {
        guard case .open = state else { return }
        state = .closed(error)
        descriptor.closeSoon()
        for descriptor in received + output.flatMap(\.descriptors) { Glibc.close(descriptor) }
        received = []
        output = []
        let asked = pending.sorted { $0.key < $1.key }
        pending = [:]
        for entry in asked { entry.value.continuation.resume(throwing: error) }
        let waiters = exitWaiters
        exitWaiters = []
        for waiter in waiters { waiter.continuation.resume(throwing: error) }
        announce.finish()
    }
}

// Exits.
extension HolderClient {
    /// Returns when the child's main process has ended and, with `reapsTree`, nothing of its tree is left. Throws
    /// `not_found` for an unknown child, `unavailable` when the holder goes away.
    public func exit(of id: String) async throws -> Exit {
        if let exit = exits[id] { return exit }
        if !started.contains(id) {
            let child = try await self.child(id)
            if case .exited(let exit) = child.status.state { return exit }
        }
        let number = takeNumber()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Exit, any Error>) in
                // The event may have come between the holder's answer and this line.
                if let exit = exits[id] { return continuation.resume(returning: exit) }
                if case .closed(let error) = state { return continuation.resume(throwing: error) }
                if Task.isCancelled { return continuation.resume(throwing: CancellationError()) }
                exitWaiters.append((number, id, continuation))
            }
        } onCancel: {
            loop.execute { self.assumeIsolated { $0.abandonExit(number) } }
        }
    }

    private func abandonExit(_ number: UInt64) {
        guard let index = exitWaiters.firstIndex(where: { $0.number == number }) else { return }
        exitWaiters.remove(at: index).continuation.resume(throwing: CancellationError())
    }

    func noteStart(of status: ChildStatus) {
        if case .exited(let exit) = status.state { exits[status.id] = exit }
        started.insert(status.id)
    }

    func dropExit(of id: String) {
        exits[id] = nil
        started.remove(id)
    }
}
