internal import Base
internal import Carriage
internal import Domain
internal import FoundationEssentials
internal import Glibc
internal import OutputStore
internal import Subprocess
internal import Terminals
internal import WorkerProtocol

// What a hand-over needs of terminals.
extension TerminalHouse {
    private static let freezeGrace = Duration.seconds(2)

    /// Ends every program on a terminal of this workspace and waits until they are gone.
    /// - Returns: the names of those that ran.
    func freeze(_ workspace: WorkspaceID) async throws -> [String] {
        let running = terminals(of: workspace).filter { !$0.hasEnded }
        for terminal in running {
            try await services.holder.terminate(terminal.record.id.text, grace: Self.freezeGrace)
        }
        for terminal in running { _ = try? await services.holder.exit(of: terminal.record.id.text) }
        return running.map(\.record.name)
    }

    /// Each terminal's record and every byte that is kept of it.
    func write(_ workspace: WorkspaceID, to writer: EntryWriter) throws {
        for terminal in terminals(of: workspace) {
            try writer.put(.terminal, try JSONText.encode(terminal.record))
            if let times = FileManager.default.contents(atPath: path(of: terminal.record.id) + "/times") {
                try writer.put(.terminalTimes, Array(times))
            }
            var offset = terminal.scrollback.kept.lowerBound
            while case let (start, bytes) = try terminal.scrollback.read(from: offset, upTo: 1 << 20), !bytes.isEmpty {
                try writer.put(.terminalBytes, path: Array("\(start)".utf8), bytes)
                offset = start + Int64(bytes.count)
            }
        }
    }
}

// What came of terminals of another environment.
extension TerminalHouse {
    /// Keeps records and bytes of a packed workspace beside the terminals, until ``adopt(from:into:)``.
    func stage(_ file: CInt, in directory: String) throws {
        try? FileManager.default.removeItem(atPath: directory)
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        lseek(file, 0, SEEK_SET)
        var reader = EntryReader(file)
        var place: String?
        while let entry = try reader.next() {
            switch entry.kind {
            case .terminal:
                let bytes = try reader.whole(upTo: 1 << 20)
                let record = try JSONText.decode(TerminalRecord.self, from: bytes)
                let path = "\(directory)/\(record.id)"
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
                try Data(bytes).write(to: URL(filePath: path + ".json"))
                place = path
            case .terminalBytes:
                guard let place, let offset = Int64(entry.name), offset >= 0 else {
                    throw BerthError(.protocolViolation, "a terminal's bytes have no place")
                }
                try Scrollback.put(try reader.whole(upTo: 1 << 20), at: offset, path: place)
            case .terminalTimes:
                guard let place else { throw BerthError(.protocolViolation, "a terminal's times have no place") }
                let times = try reader.whole(upTo: TimeIndex.maximumBytes)
                try Data(times).write(to: URL(filePath: place + "/times"))
            default: break
            }
        }
    }

    /// The terminals of ``stage(_:in:)`` are this environment's, ended. Safe to repeat.
    func adopt(from directory: String, into workspace: WorkspaceID) async throws {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        for name in names.sorted() where name.hasSuffix(".json") {
            guard let bytes = FileManager.default.contents(atPath: "\(directory)/\(name)") else { continue }
            var record = try JSONText.decode(TerminalRecord.self, from: Array(bytes))
            record.workspaceId = workspace
            if record.endedAt == nil {
                record.endedAt = services.time.now
                record.exit = TerminalExit(isLost: true)
            }
            try await replace(record, scrollback: "\(directory)/\(record.id)")
        }
        try? FileManager.default.removeItem(atPath: directory)
    }
}
