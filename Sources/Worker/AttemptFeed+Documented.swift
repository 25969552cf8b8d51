internal import Base
internal import OutputStore
internal import WorkerProtocol

extension AttemptFeed {
    /// As `run`, for a server that knows the messages of seed 004 alone: output as text, and no word that is not there.
    /// What was sent over an earlier connection is not sent again.
    func runDocumented() async throws {
        while true {
            let seen = attempt.beacon.revision
            let isRunning = await attempt.isRunning
            let hasEnded = await attempt.hasEnded
            if isRunning || hasEnded { break }
            try await attempt.beacon.wait(after: seen)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let spools = await attempt.spools {
                group.addTask { try await feedText(spools.stdout, isError: false) }
                group.addTask { try await feedText(spools.stderr, isError: true) }
            }
            group.addTask { try await events() }
            try await group.waitForAll()
        }
        try await complete()
    }

    /// Messages of personas, until the attempt has ended.
    private func events() async throws {
        while true {
            let seen = attempt.beacon.revision
            for notice in await attempt.takeNotices() {
                if case .event = notice { try await connection.send(notice) }
            }
            if await attempt.hasEnded { return }
            try await attempt.beacon.wait(after: seen)
        }
    }

    private func feedText(_ spool: Spool, isError: Bool) async throws {
        let id = await attempt.record.wireID
        while true {
            let offset = await attempt.textOffset(isError: isError)
            let bytes = try spool.read(from: offset, upTo: 64 << 10)
            let hasAll = spool.mark.map { offset + Int64(bytes.count) == $0.storedBytes } ?? false
            let whole = hasAll ? bytes.count : bytes.wholeCharacters
            if whole > 0 {
                let chunk = WorkerMessage.OutputChunk(
                    executionId: id,
                    chunk: String(decoding: bytes[..<whole], as: UTF8.self),
                    timestamp: attempt.services.time.now.milliseconds
                )
                try await connection.send(isError ? .stderr(chunk) : .stdout(chunk))
                await attempt.sentText(upTo: offset + Int64(whole), isError: isError)
            } else if case .finished = try await spool.waitForGrowth(beyond: offset + Int64(bytes.count)), hasAll {
                return
            }
        }
    }
}

extension [UInt8] {
    /// How many bytes from the start hold no cut-off character at their end (UTF-8).
    var wholeCharacters: Int {
        for back in 1...3 where back <= count {
            let byte = self[count - back]
            if byte & 0xC0 == 0x80 { continue }
            let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return length > back ? count - back : count
        }
        return count
    }
}
