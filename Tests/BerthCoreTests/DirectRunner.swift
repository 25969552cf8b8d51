import AgentProtocol
import Base
import BerthCore
import FoundationEssentials
import Synchronization
import TestSupport

/// Runs programs as children of the test and keeps what it was asked, so that a test can look for secrets in it.
final class DirectRunner: ProcessRunner {
    private let asked = Mutex<[ProcessCommand]>([])
    var commands: [ProcessCommand] { asked.withLock { $0 } }

    func run(_ command: ProcessCommand) async throws -> ProcessResult {
        asked.withLock { $0.append(command) }
        let process = try ChildProcess(
            command.arguments,
            environment: command.environment,
            directory: command.directory
        )
        process.closeInput()
        let status: Int32
        do {
            status = try await process.exit(within: command.deadline)
        } catch {
            process.signal(9)
            throw BerthError(.timedOut, "\(command.arguments) took too long")
        }
        guard process.standardOutput.count <= command.outputLimit else {
            throw BerthError(.tooLarge, "a program wrote more than \(command.outputLimit) bytes")
        }
        return ProcessResult(
            end: status > 128 ? .signalled(status - 128) : .exited(status),
            output: process.standardOutput,
            errors: process.standardError
        )
    }
}

func text(of path: String) -> String {
    (try? Data(contentsOf: URL(filePath: path))).map { String(decoding: $0, as: UTF8.self) } ?? ""
}
