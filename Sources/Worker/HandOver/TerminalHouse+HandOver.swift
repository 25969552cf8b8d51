internal import Base
internal import Carriage
internal import Domain
internal import OutputStore
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
            var offset = terminal.scrollback.kept.lowerBound
            while case let (start, bytes) = try terminal.scrollback.read(from: offset, upTo: 1 << 20), !bytes.isEmpty {
                try writer.put(.terminalBytes, path: Array("\(start)".utf8), bytes)
                offset = start + Int64(bytes.count)
            }
        }
    }
}
