import Base
import Domain
import Testing
import WorkerProtocol

@testable import Workers

/// What a worker's session makes of TCP channels: it passes answers on, and nothing of theirs may stray into it.
@Suite struct TunnelSessionTests {
    private static let channel = ChannelFrame.firstTCPChannel

    @Test func `answers are passed on, with a reason of bounded length`() {
        var session = WorkerSessionTests.live()
        let now = WorkerSessionTests.start
        #expect(
            session.receive(.connected(.init(channel: Self.channel)), now: now)
                == [.answered(channel: Self.channel, refusal: nil)]
        )
        let long = String(repeating: "x", count: 1000)
        #expect(
            session.receive(.refused(.init(channel: 7, reason: long)), now: now)
                == [.answered(channel: 7, refusal: String(long.prefix(200)))]
        )
    }

    @Test func `a worker opens no channel with a number of the server's, and speaks on none that was not asked for`() {
        let execution = WorkerSessionTests.execution
        var session = WorkerSessionTests.live()
        let open = WorkerMessage.open(
            .init(channel: Self.channel, executionId: execution, attempt: 2, stream: .stdout, offset: 0)
        )
        #expect(session.receive(open, now: WorkerSessionTests.start).first?.closeCode == 1002)
        for frame in [ChannelFrame.data(channel: Self.channel, offset: 0, bytes: [1]), .reset(channel: 1, reason: "")] {
            var session = WorkerSessionTests.live()
            #expect(session.receive(frame, now: WorkerSessionTests.start).first?.closeCode == 1002)
        }
    }
}

extension WorkerAction {
    fileprivate var closeCode: UInt16? { if case .close(let code, _) = self { code } else { nil } }
}
