import Base
import HolderProtocol
import Testing

@Suite struct HolderProtocolTests {
    static let spawn = SpawnRequest(
        id: "exec_1:2",
        arguments: ["a", "", "ü"],
        environment: ["A=b"],
        directory: "/d",
        user: UserIdentity(uid: 1000, gid: 7),
        input: .descriptor,
        mode: .terminal(columns: 3, rows: 4),
        limits: Limits(processes: 1, openFiles: nil, addressSpaceBytes: 1 << 40),
        oomScore: -5,
        privileges: .administer,
        reapsTree: false
    )
    static let requests: [Request] = [
        .hello(version: 1), .ping, .spawn(spawn), .list, .descriptors(id: "x"),
        .signal(id: "x", number: 9, scope: .tree), .terminate(id: "x", graceMs: 5),
        .resize(id: "x", columns: 1, rows: 2), .closeInput(id: "x"), .forget(id: "x"),
    ]
    static let exited = ChildStatus(
        id: "x",
        isTerminal: true,
        state: .exited(
            Exit(cause: .signal(9), userMs: 1, systemMs: 2, maxResidentBytes: 3, hasLeftovers: true)
        ),
        startedAtMs: 4
    )
    static let messages: [HolderMessage] = [
        .reply(.done, to: 1), .reply(.hello(version: 1, holderPID: 2), to: 2),
        .reply(.child(exited, roles: [.terminal, .tunnelIn, .tunnelOut]), to: 3),
        .reply(.children([exited, ChildStatus(id: "y", isTerminal: false, state: .starting, startedAtMs: 0)]), to: 4),
        .reply(.failure(Failure(code: .spawnFailed, step: .execute, errno: 2, message: "m")), to: 5),
        .event(.exited(exited)),
    ]

    private func frames(_ bytes: [UInt8], cut: Int) throws -> [Frame] {
        var buffer = FrameBuffer()
        var frames: [Frame] = []
        for start in stride(from: 0, to: bytes.count, by: cut) {
            bytes[start..<min(start + cut, bytes.count)].withUnsafeBytes { buffer.append($0) }
            while let frame = try buffer.next() { frames.append(frame) }
        }
        return frames
    }

    @Test(arguments: [1, 7, 16, 1000]) func `messages survive any cutting of the stream`(cut: Int) throws {
        let requests = Self.requests.enumerated().flatMap { $1.frame(number: UInt64($0)) }
        #expect(try frames(requests, cut: cut).map { try Request($0) } == Self.requests)
        let messages = Self.messages.flatMap(\.frame)
        #expect(try frames(messages, cut: cut).map { try HolderMessage($0) } == Self.messages)
    }

    @Test func `every shortened payload is refused, none crashes`() throws {
        for request in Self.requests {
            let whole = try frames(request.frame(number: 1), cut: 1000)[0]
            for count in 0..<whole.payload.count {
                let short = Frame(header: whole.header, payload: whole.payload.prefix(count))
                #expect(throws: WireError.self) { try Request(short) }
            }
        }
    }

    @Test func `an oversized frame is refused before it is buffered`() throws {
        let header = FrameHeader(length: 5 << 20, kind: 2, descriptorCount: 0, number: 1)
        #expect(throws: WireError.tooLarge(5 << 20)) { try frames(header.bytes, cut: 16) }
    }

    @Test func `damaged frames are refused or read, none crashes`() throws {
        let randomness = SeededRandomness(seed: 7)
        let whole = Self.requests.map { $0.frame(number: 1) } + Self.messages.map(\.frame)
        for _ in 0..<20_000 {
            var bytes = whole[Int(randomness.next() % UInt64(whole.count))]
            for _ in 0...(randomness.next() % 4) {
                bytes[Int(randomness.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: randomness.next())
            }
            guard let frames = try? frames(bytes, cut: 1000) else { continue }
            for frame in frames {
                _ = try? Request(frame)
                _ = try? HolderMessage(frame)
            }
        }
    }
}
