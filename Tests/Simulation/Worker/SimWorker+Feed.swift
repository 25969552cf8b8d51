import Base
import Domain
import WorkerProtocol

/// One attempt as it is told over one connection.
struct SimFeed {
    struct Channel {
        let number: UInt32
        var cursor: OutputCursor
        var limit: Int64
        var durable: Int64
        var hasEnded = false
    }

    let key: AttemptKey
    let starts: [Int64]
    var hasBegun = false
    var channels: [Channel]?
    var isTold = false

    init(_ key: AttemptKey, stdout: Int64, stderr: Int64) {
        self.key = key
        starts = [stdout, stderr]
    }
}

// As the shipped `AttemptFeed`: that it runs, its output from where the server has it, its end.
extension SimWorker {
    func feedAll() throws { for key in feeds.map(\.key) { try feed(key) } }

    func feed(_ key: AttemptKey) throws {
        guard let place = feeds.firstIndex(where: { $0.key == key }), let run = run(key), connection != nil else {
            return
        }
        if !feeds[place].hasBegun {
            guard run.machine.phase != .preparing else { return }
            feeds[place].hasBegun = true
            if run.machine.phase == .running {
                send(.started(.init(executionId: key.executionID, attempt: key.attempt)))
            }
        }
        if run.hasSpools, let spools = spools[key] {
            if feeds[place].channels == nil { open(place) }
            for stream in 0...1 { pass(place, stream, spools[stream]) }
            guard feeds[place].channels?.allSatisfy(\.hasEnded) == true else { return }
        }
        guard let report = run.machine.report, !feeds[place].isTold else { return }
        feeds[place].isTold = true
        let status: WorkerMessage.Complete.Status =
            switch report.outcome {
            case .completed: .completed
            case .failed, .timedOut: .failed
            case .cancelled: .cancelled
            }
        send(
            .complete(
                .init(
                    executionId: key.executionID.text,
                    status: status,
                    exitCode: report.exitCode ?? -1,
                    durationMs: report.durationMs,
                    attempt: key.attempt,
                    report: report
                )
            )
        )
    }

    private func open(_ place: Int) {
        let key = feeds[place].key
        feeds[place].channels = OutputStream.allCases.enumerated().map { index, stream in
            let start = feeds[place].starts[index] + (world.mistakes.contains(.resumeFromWrongOffset) ? 1 : 0)
            let number = nextChannel
            nextChannel += 1
            send(
                .open(
                    .init(
                        channel: number,
                        executionId: key.executionID,
                        attempt: key.attempt,
                        stream: stream,
                        offset: start
                    )
                )
            )
            return SimFeed.Channel(
                number: number,
                cursor: OutputCursor(from: start),
                limit: start + World.window,
                durable: start
            )
        }
    }

    private func pass(_ place: Int, _ stream: Int, _ spool: SimSpool) {
        guard var channel = feeds[place].channels?[stream], !channel.hasEnded else { return }
        defer { feeds[place].channels?[stream] = channel }
        while true {
            var sent: ArraySlice<UInt8>?
            switch channel.cursor.next(length: spool.length, mark: spool.mark, limit: channel.limit) {
            case .data(let offset, let count):
                sent = spool.read(from: offset, count: count)
                if let sent { send(.data(channel: channel.number, offset: offset, bytes: sent)) }
            case .tail(let place, let offset, let count):
                sent = spool.read(from: offset, count: count)
                if let sent { send(.tail(channel: channel.number, offset: place, bytes: sent)) }
            case .awaitCredit, .awaitGrowth: return
            case .end(let total):
                send(.end(channel: channel.number, total: total))
                channel.hasEnded = true
                return
            }
            if let sent { channel.cursor.sent(sent.count) } else { channel.cursor.giveUp() }
            if let durable = channel.cursor.stored(channel.durable) { spool.acknowledge(upTo: durable) }
        }
    }

    func receive(_ frame: ChannelFrame) throws {
        guard case .credit(let number, let limit, let durable) = frame else { return }
        for place in feeds.indices {
            guard let stream = feeds[place].channels?.firstIndex(where: { $0.number == number }),
                var channel = feeds[place].channels?[stream]
            else { continue }
            channel.limit = max(limit, channel.limit)
            channel.durable = max(durable, channel.durable)
            feeds[place].channels?[stream] = channel
            return try feed(feeds[place].key)
        }
    }
}
