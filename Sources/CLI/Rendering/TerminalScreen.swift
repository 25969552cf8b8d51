import Base
import Client
import Domain
import EventLoop
import Glibc

/// A remote terminal on this one: keys go there, bytes come here.
struct TerminalScreen: Sendable {
    let session: ServerSession
    let terminal: String
    let environment: String

    /// Ctrl-\, as dtach and abduco have it.
    private static let detachByte: UInt8 = 0x1C

    init(session: ServerSession, terminal: String, of environment: String) {
        self.session = session
        self.terminal = terminal
        self.environment = environment
    }

    /// Of the terminal on standard output, nil where there is none.
    static var size: TerminalSize? {
        var size = winsize()
        guard ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return TerminalSize(columns: size.ws_col, rows: size.ws_row)
    }

    private enum Part: Sendable {
        case ended(TerminalExit?)
        case detached
        case inputOver
        case resized
    }

    /// Until the program ends, or the person leaves. Exits with the program's own status.
    func follow(from offset: Int64, isReadOnly: Bool) async throws -> Int32 {
        let loop = session.terminal.loop
        let connection = TerminalConnection(
            session.client,
            environment: environment,
            terminal: terminal,
            from: offset,
            size: isReadOnly ? nil : Self.size,
            isReadOnly: isReadOnly
        )
        let resizes = try await SignalSource([SIGWINCH], loop: loop)
        // What is typed needs somebody to take it.
        let first = try await connection.next { session.say("trying again…") }
        let raw = isatty(0) == 1 ? RawMode(descriptor: 0) : nil
        defer { raw?.restore() }
        let outcome = try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask { try await show(first, connection) }
            group.addTask { try await type(connection, canDetach: raw != nil) }
            group.addTask {
                for await _ in resizes { if let size = Self.size { await connection.resize(size) } }
                return .resized
            }
            defer { group.cancelAll() }
            while let part = try await group.next() {
                switch part {
                case .ended, .detached: return part
                // A pipe that ended still wants to see what comes of it.
                case .inputOver, .resized: continue
                }
            }
            return .detached
        }
        await connection.close()
        raw?.restore()
        guard case .ended(let exit) = outcome else {
            session.say("\nleft \(terminal) running; 'berth terminal attach \(environment) \(terminal)' returns to it")
            return 0
        }
        if exit?.isLost == true {
            throw BerthError(.environmentLost, "the environment ended under the terminal")
        }
        return exit?.exitCode ?? exit?.signal.map { 128 + $0 } ?? 0
    }

    private func show(_ first: TerminalFrame?, _ connection: TerminalConnection) async throws -> Part {
        var next = first
        while let frame = next {
            switch frame {
            case .data(_, let bytes): session.terminal.writeBytes(Array(bytes), toError: false)
            case .gap(let range):
                session.say("\r\n[bytes \(range.lowerBound) to \(range.upperBound) are kept no longer]\r")
            case .end(let exit): return .ended(exit)
            case .size, .input: break
            }
            next = try await connection.next { session.say("\r\nconnection lost, trying again…\r") }
        }
        return .ended(nil)
    }

    private func type(_ connection: TerminalConnection, canDetach: Bool) async throws -> Part {
        let watched = Descriptor(0, loop: session.terminal.loop)
        let canWait = Self.canWait(for: 0)
        var buffer = [UInt8](repeating: 0, count: 32 << 10)
        while true {
            if canWait { try await watched.readable() }
            let count = Glibc.read(0, &buffer, buffer.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0 else { return .inputOver }
            var bytes = Array(buffer[..<count])
            let cut = canDetach ? bytes.firstIndex(of: Self.detachByte) : nil
            if let cut { bytes = Array(bytes[..<cut]) }
            if !bytes.isEmpty { try await pass(bytes, to: connection, isKeyboard: canDetach) }
            if cut != nil { return .detached }
        }
    }

    /// Files and `/dev/null` are always readable, and the kernel watches none of them.
    private static func canWait(for descriptor: Int32) -> Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return false }
        return [S_IFIFO, S_IFSOCK].contains(status.st_mode & S_IFMT) || isatty(descriptor) == 1
    }

    /// Without a connection a key is refused by a beep; a program's words wait for the next one.
    private func pass(_ bytes: [UInt8], to connection: TerminalConnection, isKeyboard: Bool) async throws {
        while try await !connection.type(bytes) {
            if isKeyboard { return session.terminal.writeError("\u{7}") }
            try await session.terminal.loop.time.wait(for: .milliseconds(50))
        }
    }
}

/// A terminal that hands over every key as it is, until it is restored.
final class RawMode: Sendable {
    private let descriptor: Int32
    private let before: termios

    /// nil where `descriptor` is no terminal.
    init?(descriptor: Int32) {
        var mode = termios()
        guard tcgetattr(descriptor, &mode) == 0 else { return nil }
        self.descriptor = descriptor
        before = mode
        cfmakeraw(&mode)
        tcsetattr(descriptor, TCSADRAIN, &mode)
    }

    func restore() {
        var mode = before
        tcsetattr(descriptor, TCSADRAIN, &mode)
    }
}
