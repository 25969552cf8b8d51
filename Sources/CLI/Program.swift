import API
import Base
import EventLoop
import Glibc

/// The program `berth`.
public enum Program {
    /// - Parameters:
    ///   - arguments: without the program's own name.
    ///   - environment: the process's variables, read once.
    public static func main(arguments: [String], environment: [String: String]) -> Never {
        signal(SIGPIPE, SIG_IGN)
        LoopProgram.main(name: "berth") { loop in
            await run(arguments: arguments, environment: environment, loop: loop)
        }
    }

    static func run(arguments: [String], environment: [String: String], loop: EventLoop) async -> Int32 {
        let terminal = Terminal(
            loop: loop,
            environment: environment,
            isOutputTerminal: isatty(1) == 1,
            isErrorTerminal: isatty(2) == 1,
            width: width()
        )
        do {
            return try await dispatch(arguments, terminal)
        } catch {
            let error = BerthError(wrapping: error)
            if arguments.contains("--json") {
                if let bytes = try? JSONBody.encode(Problem(error), pretty: true) {
                    terminal.writeBytes(bytes + Array("\n".utf8), toError: true)
                }
            } else {
                terminal.writeError(text(error, style: terminal.errorStyle))
            }
            return error.code.exitStatus
        }
    }

    static func dispatch(_ arguments: [String], _ terminal: Terminal) async throws -> Int32 {
        if ["--version", "-V"].contains(arguments.first) { return try await dispatch(["version"], terminal) }
        if arguments.first == "help" {
            if arguments.dropFirst().first == "exit-codes" {
                terminal.write(Help.exitCodes)
                return 0
            }
            return try await dispatch(Array(arguments.dropFirst()) + ["--help"], terminal)
        }
        switch try Commands.parser.parse(arguments) {
        case .run(let command, let parsed): return try await command.run(parsed, terminal)
        case .help(let command): terminal.write(Help.text(for: command, style: terminal.style))
        case .groupHelp(let group):
            let text = Help.overview(Commands.all, group: group, style: terminal.style)
            if arguments.isEmpty {
                terminal.writeError(text)
                return ErrorCode.usage.exitStatus
            }
            terminal.write(text)
        }
        return 0
    }

    static func text(_ error: BerthError, style: Style) -> String {
        let field = error.field.map { "\($0): " } ?? ""
        let head = style.red("berth: ") + field + error.message + "\n"
        return head + (error.remedy.map { "  → \($0)\n" } ?? "")
    }

    private static func width() -> Int {
        var size = winsize()
        return ioctl(1, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 100
    }
}
