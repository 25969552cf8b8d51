import Base
import Domain
import Testing
import WorkerProtocol

@testable import Workers

@Suite struct WorkerSessionTests {
    static let start = Uptime(nanoseconds: 1_000_000_000_000)
    static let execution: ExecutionID = IDSource(time: SystemTime(), randomness: SeededRandomness(seed: 3)).make()
    static let key = AttemptKey(execution, 2)

    static func hello(protocol version: Int? = 1) -> WorkerMessage {
        .hello(.init(workerId: "w", version: "1", capabilities: [], protocol: version))
    }

    static func live(protocol version: Int? = 1, holding: [AttemptKey] = []) -> WorkerSession {
        var session = WorkerSession(now: start)
        _ = session.receive(hello(protocol: version), now: start)
        _ = session.admit(.init(workerId: "w", sessionToken: "t"), holding: holding, now: start)
        return session
    }

    static func open(_ session: inout WorkerSession, durable: Int64 = 0) {
        _ = session.receive(
            .open(.init(channel: 1, executionId: execution, attempt: 2, stream: .stdout, offset: 0)),
            now: start
        )
        _ = session.opened(channel: 1, key, .stdout, durable: durable)
    }

    @Test func `a connection that says nothing is closed after ten seconds`() {
        var session = WorkerSession(now: Self.start)
        #expect(session.expire(now: Self.start + .milliseconds(9_999)) == [])
        #expect(session.deadline == Self.start + .seconds(10))
        guard case .close(1008, _)? = session.expire(now: Self.start + .seconds(10)).first else {
            Issue.record("not closed")
            return
        }
        #expect(session.isClosed)
    }

    @Test func `silence of ninety seconds closes with 1001 and any message puts it off`() {
        var session = Self.live()
        _ = session.receive(.heartbeat(.init(timestamp: 0)), now: Self.start + .seconds(60))
        #expect(session.expire(now: Self.start + .seconds(149)) == [])
        #expect(
            session.expire(now: Self.start + .seconds(150)).first
                == .close(code: 1001, reason: "nothing heard for 90.0 seconds")
        )
    }

    @Test func `what is less than a message puts the close off too`() {
        var session = Self.live()
        session.heard(at: Self.start + .seconds(60))
        session.heard(at: Self.start + .seconds(20))
        #expect(session.expire(now: Self.start + .seconds(149)) == [])
        #expect(session.disconnected() == Self.start + .seconds(60))
    }

    /// Else a worker that fell silent would have another ninety seconds from the close on.
    @Test func `a session that was closed still knows when its worker was last heard`() {
        var session = Self.live()
        _ = session.receive(.heartbeat(.init(timestamp: 0)), now: Self.start + .seconds(60))
        _ = session.expire(now: Self.start + .seconds(150))
        #expect(session.isClosed)
        #expect(session.disconnected() == Self.start + .seconds(60))
        var refused = WorkerSession(now: Self.start)
        _ = refused.expire(now: Self.start + .seconds(10))
        #expect(refused.disconnected() == nil)
    }

    @Test(arguments: [
        WorkerMessage.ready(.init()), .heartbeat(.init(timestamp: 0)),
        .stdout(.init(executionId: "x", chunk: "y", timestamp: 0)),
    ])
    func `what comes before the hello closes with 1008`(_ message: WorkerMessage) {
        var session = WorkerSession(now: Self.start)
        guard case .close(1008, _)? = session.receive(message, now: Self.start).first else {
            Issue.record("not closed")
            return
        }
        #expect(session.receive(Self.hello(), now: Self.start) == [], "closed for good")
    }

    @Test func `a second hello closes the connection`() {
        var session = Self.live()
        guard case .close(1008, _)? = session.receive(Self.hello(), now: Self.start).first else {
            Issue.record("not closed")
            return
        }
    }

    @Test func `a documented peer is understood by its execution ids alone`() {
        var session = Self.live(protocol: nil)
        session.assigned(Self.key)
        let chunk = WorkerMessage.stdout(.init(executionId: Self.execution.text, chunk: "hi", timestamp: 0))
        #expect(session.receive(chunk, now: Self.start) == [.appendChunk(Self.key, .stdout, text: "hi")])
        let complete = WorkerMessage.complete(
            .init(executionId: Self.execution.text, status: .failed, exitCode: 3, durationMs: 9)
        )
        guard case .complete(let key, let report)? = session.receive(complete, now: Self.start).first else {
            Issue.record("no end")
            return
        }
        #expect(key == Self.key)
        #expect(report.outcome == .failed)
        #expect(report.exitCode == 3)
        #expect(report.failure?.code == .agentFailed)
        guard case .note? = session.receive(chunk, now: Self.start).first else {
            Issue.record("bytes after the end were taken")
            return
        }
    }

    @Test func `a documented peer that comes back idle has lost what it held`() {
        var session = Self.live(protocol: nil, holding: [Self.key])
        #expect(
            session.receive(.ready(.init()), now: Self.start)
                == [.surrender([Self.key]), .becomeReady(slots: 1)]
        )
        #expect(session.receive(.ready(.init()), now: Self.start) == [.becomeReady(slots: 1)])
    }

    @Test func `a documented peer that comes back at work carries on`() {
        var session = Self.live(protocol: nil, holding: [Self.key])
        let chunk = WorkerMessage.stdout(.init(executionId: Self.execution.text, chunk: "more", timestamp: 0))
        #expect(session.receive(chunk, now: Self.start) == [.appendChunk(Self.key, .stdout, text: "more")])
    }

    @Test func `bytes are stored in order and what is sent again is skipped`() {
        var session = Self.live()
        Self.open(&session, durable: 4)
        let first = session.receive(.data(channel: 1, offset: 2, bytes: [2, 3, 4, 5]), now: Self.start)
        #expect(first == [.append(channel: 1, Self.key, .stdout, offset: 4, bytes: [4, 5])])
        #expect(session.receive(.data(channel: 1, offset: 3, bytes: [3, 4]), now: Self.start) == [])
    }

    @Test(arguments: [
        ChannelFrame.data(channel: 1, offset: 7, bytes: [1]),
        .data(channel: 1, offset: 0, bytes: ArraySlice(repeating: 0, count: ChannelFrame.maximumPayload + 1)),
        .data(channel: 9, offset: 0, bytes: [1]),
        .data(channel: 1, offset: .max, bytes: [1]),
        .credit(channel: 1, limit: 9, durable: 9),
        .end(channel: 2, total: 0),
    ])
    func `a frame that breaks the rules closes with 1002`(_ frame: ChannelFrame) {
        var session = Self.live()
        Self.open(&session)
        guard case .close(1002, _)? = session.receive(frame, now: Self.start).first else {
            Issue.record("not closed")
            return
        }
    }

    @Test func `credit is never exceeded and is renewed at half the window`() {
        var session = Self.live()
        Self.open(&session)
        let size = ChannelFrame.maximumPayload
        let block = ArraySlice<UInt8>(repeating: 7, count: size)
        for index in 0..<4 {
            let offset = Int64(index * size)
            #expect(session.receive(.data(channel: 1, offset: offset, bytes: block), now: Self.start).count == 1)
        }
        #expect(session.stored(channel: 1, durable: Int64(size)) == [])
        #expect(
            session.stored(channel: 1, durable: Int64(2 * size))
                == [.sendFrame(.credit(channel: 1, limit: Int64(2 * size) + (1 << 20), durable: Int64(2 * size)))]
        )
        for index in 4..<6 {
            #expect(
                session.receive(.data(channel: 1, offset: Int64(index * size), bytes: block), now: Self.start).count
                    == 1
            )
        }
        guard
            case .close(1002, _)? = session.receive(
                .data(channel: 1, offset: Int64(6 * size), bytes: [1]),
                now: Self.start
            ).first
        else {
            Issue.record("sent past its credit")
            return
        }
    }

    @Test func `a dropped channel's frames are passed over`() {
        var session = Self.live()
        Self.open(&session)
        session.drop(channel: 1)
        #expect(session.receive(.data(channel: 1, offset: 0, bytes: [1]), now: Self.start) == [])
        #expect(!session.isClosed)
    }

    /// Whatever a peer sends, each byte is stored at most once and in order.
    @Test(arguments: 0..<100 as Range<UInt64>)
    func `a random sender stores a prefix without gap or overlap`(_ seed: UInt64) {
        let randomness = SeededRandomness(seed: seed)
        var session = Self.live()
        Self.open(&session)
        var stored: [UInt8] = []
        for _ in 0..<200 where !session.isClosed {
            let offset = max(0, Int64(stored.count) - Int64(randomness.next() % 50))
            let count = Int(randomness.next() % 100)
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: offset + Int64($0)) }
            for action in session.receive(.data(channel: 1, offset: offset, bytes: bytes[...]), now: Self.start) {
                guard case .append(1, Self.key, .stdout, let at, let fresh) = action else { continue }
                #expect(at == Int64(stored.count))
                stored += fresh
                _ = session.stored(channel: 1, durable: Int64(stored.count))
            }
        }
        #expect(stored == (0..<stored.count).map { UInt8(truncatingIfNeeded: $0) })
    }
}
