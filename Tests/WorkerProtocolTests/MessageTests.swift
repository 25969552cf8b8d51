import Base
import Domain
import Testing
import WorkerProtocol

@Suite struct MessageTests {
    private func execution() throws -> ExecutionID { try ExecutionID("exec_01jd0000000000000000000000") }

    @Test func `messages of the document alone are understood`() throws {
        let texts = [
            #"{"type":"hello","workerId":"w1","version":"0.1.0","capabilities":["claude-cli","node","git"]}"#,
            #"{"type":"ready"}"#,
            #"{"type":"stdout","executionId":"e1","chunk":"hi\n","timestamp":1}"#,
            #"{"type":"stderr","executionId":"e1","chunk":"oh\n","timestamp":2}"#,
            #"{"type":"complete","executionId":"e1","status":"completed","exitCode":0,"durationMs":12}"#,
            #"{"type":"event","executionId":"e1","eventType":"user_message","payload":{"title":"t"}}"#,
            #"{"type":"heartbeat","timestamp":3}"#,
        ]
        let messages = try texts.map { try MessageCodec.decode(WorkerMessage.self, from: Array($0.utf8)) }
        #expect(messages.map { $0?.tag } == ["hello", "ready", "stdout", "stderr", "complete", "event", "heartbeat"])
        guard case .hello(let hello) = messages[0] else {
            Issue.record("the first message is a hello")
            return
        }
        #expect(hello.protocol == nil)
        #expect(hello.capabilities == ["claude-cli", "node", "git"])
    }

    @Test func `an assignment carries every documented field by its documented name`() throws {
        let assign = ServerMessage.assign(
            .init(
                executionId: "e1",
                personaId: "p1",
                prompt: "2+2?",
                env: ["CLAUDE_CODE_OAUTH_TOKEN": "t"],
                config: .init(timeoutMs: 30000, maxOutputBytes: 10)
            )
        )
        let text = String(decoding: try MessageCodec.encode(assign), as: UTF8.self)
        #expect(
            text == #"{"config":{"maxOutputBytes":10,"timeoutMs":30000},"env":{"CLAUDE_CODE_OAUTH_TOKEN":"t"},"#
                + #""executionId":"e1","personaId":"p1","prompt":"2+2?","type":"assign"}"#
        )
    }

    @Test func `every message goes there and back`() throws {
        let id = try execution()
        let mark = OutputMark(totalBytes: 9, headBytes: 9, tailBytes: 0, sha256: "ab")
        let report = ExecutionReport(
            outcome: .timedOut,
            signal: 9,
            failure: FailureReason(.timedOut, "it took longer than 1 s"),
            durationMs: 1000,
            stdout: mark
        )
        let fromWorker: [WorkerMessage] = [
            .hello(
                .init(
                    workerId: "w",
                    version: "1",
                    capabilities: [],
                    protocol: 1,
                    instance: 3,
                    attempts: [.init(executionId: id, attempt: 1, stdout: 5, stderr: 0, hasEnded: false)]
                )
            ),
            .ready(.init(slots: 8)),
            .complete(
                .init(executionId: id.text, status: .cancelled, exitCode: -1, durationMs: 1, attempt: 1, report: report)
            ),
            .started(.init(executionId: id, attempt: 1)),
            .progress(.init(executionId: id, attempt: 1, stage: "cloning", message: "cloning")),
            .open(.init(channel: 1, executionId: id, attempt: 1, stream: .stderr, offset: 7)),
            .connected(.init(channel: 1 << 31)),
            .refused(.init(channel: 1 << 31, reason: "nobody listens")),
        ]
        for message in fromWorker {
            #expect(try MessageCodec.decode(WorkerMessage.self, from: MessageCodec.encode(message)) == message)
        }
        let fromServer: [ServerMessage] = [
            .connect(.init(channel: 1 << 31, port: 8080)),
            .connect(.init(channel: .max, port: 1, host: "127.0.0.1")),
            .ack(
                .init(
                    workerId: "w",
                    sessionToken: "s",
                    protocol: 1,
                    heartbeatMs: 30000,
                    resume: [.init(executionId: id, attempt: 1, action: .resume, stdout: 5, stderr: 0)]
                )
            ),
            .cancel(.init(executionId: id.text)), .shutdown(.init(reason: "r", gracePeriodMs: 1)),
            .forget(.init(executionId: id, attempt: 2)),
        ]
        for message in fromServer {
            #expect(try MessageCodec.decode(ServerMessage.self, from: MessageCodec.encode(message)) == message)
        }
    }

    @Test func `a message of an unknown type is passed over`() throws {
        #expect(try MessageCodec.decode(WorkerMessage.self, from: Array(#"{"type":"teleport"}"#.utf8)) == nil)
    }

    @Test(arguments: [
        ("", "JSON"), ("[]", "the message"), (#"{"type":"hello","workerId":"w"}"#, "version"),
        (#"{"type":"heartbeat","timestamp":"soon"}"#, "timestamp"),
        (#"{"type":"started","executionId":"nope","attempt":1}"#, "executionId"),
    ])
    func `a broken message is refused naming the field`(text: String, named: String) {
        let error = #expect(throws: BerthError.self) {
            try MessageCodec.decode(WorkerMessage.self, from: Array(text.utf8))
        }
        #expect(error?.code == .protocolViolation)
        #expect(error?.message.contains(named) == true)
    }
}

@Suite struct ChannelFrameTests {
    @Test func `every frame goes there and back`() throws {
        let frames: [ChannelFrame] = [
            .data(channel: 1, offset: 0, bytes: [1, 2, 3]),
            .data(channel: .max, offset: .max, bytes: []),
            .credit(channel: 2, limit: 1 << 40, durable: 5),
            .end(channel: 3, total: 1 << 33),
            .tail(channel: 4, offset: 99, bytes: [9]),
            .reset(channel: ChannelFrame.firstTCPChannel, reason: "the connection was reset"),
        ]
        for frame in frames {
            #expect(try ChannelFrame(decoding: frame.encoded()) == frame)
        }
    }

    @Test func `random bytes are decoded or refused, never trapped on`() {
        let randomness = SeededRandomness(seed: 42)
        for _ in 0..<20_000 {
            let bytes = randomness.bytes(Int(randomness.next() % 32))
            do {
                let frame = try ChannelFrame(decoding: bytes)
                #expect(frame.encoded() == bytes)
            } catch {
                #expect(error.code == .protocolViolation)
            }
        }
    }
}
