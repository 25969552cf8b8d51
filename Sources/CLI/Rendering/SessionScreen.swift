import API
import Base
import Client
import Domain
import EventLoop
import Glibc
import Synchronization

/// An agent session on this terminal: what happens in it runs by above a line to write on.
struct SessionScreen: Sendable {
    private let server: ServerSession
    private let workspace: String
    private let session: String
    private let desk = SharedDesk()

    static let keys = """
        Enter sends what was written. While the agent asks, y allows, a allows from now on, n denies; a question is
        answered by its option's number or in words. Ctrl-C interrupts the turn, or leaves where none runs; Ctrl-\\ leaves.
        The conversation goes on without you, and through restarts of server and worker.
        """

    private init(_ server: ServerSession, _ workspace: String, _ session: String) {
        self.server = server
        self.workspace = workspace
        self.session = session
    }

    private enum Part: Sendable { case left, ended, inputOver }

    /// Until the person leaves; where nobody types, until the program is ended.
    static func follow(_ server: ServerSession, _ workspace: String, _ session: String, from start: Int64) async throws
        -> Int32
    {
        let screen = SessionScreen(server, workspace, session)
        let keyboard = server.isJSON || isatty(0) != 1 || isatty(1) != 1 ? nil : KeyMode(descriptor: 0)
        defer { keyboard?.restore() }
        try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask {
                try await screen.show(from: start, hasLine: keyboard != nil) { _ in false }
                return .ended
            }
            if keyboard != nil { group.addTask { try await screen.type() } }
            defer { group.cancelAll() }
            _ = try await group.next()
        }
        guard keyboard != nil else { return 0 }
        keyboard?.restore()
        server.say("\nleft; 'berth session attach \(workspace) \(session)' returns")
        return 0
    }

    /// Shows what a message leads to, until its turn is over. A failed turn has its failure's exit status.
    static func await(_ id: SessionMessageID, _ server: ServerSession, _ workspace: String, _ session: String)
        async throws -> Int32
    {
        let screen = SessionScreen(server, workspace, session)
        let failure = Mutex<FailureReason?>(nil)
        let isOver = Mutex(false)
        let mine = Mutex<Int?>(nil)
        let isKnown = Mutex(false)
        try await screen.show(from: -500, hasLine: false, shows: { $0.turn != nil && $0.turn == mine.withLock(\.self) })
        {
            event in
            if let message = event.message, message.id == id {
                isKnown.withLock { $0 = true }
                switch message.state {
                case .sent: mine.withLock { $0 = event.turn }
                case .committed, .failed, .cancelled: isOver.withLock { $0 = true }
                case .pending, .accepted: break
                }
            }
            // What failed may have been before its turn: it then waits until somebody sends another.
            let isStuck = isKnown.withLock(\.self) && event.status == .failed
            guard isOver.withLock(\.self) || isStuck, event.type == .status else { return false }
            failure.withLock { $0 = event.failure }
            return true
        }
        guard let failure = failure.withLock(\.self) else { return 0 }
        throw BerthError(failure.code, failure.message, remedy: failure.remedy)
    }

    // MARK: To the person

    /// - Parameter isLast: whether following ends with this event.
    private func show(
        from start: Int64,
        hasLine: Bool,
        shows: (SessionEvent) -> Bool = { _ in true },
        until isLast: (SessionEvent) -> Bool
    ) async throws {
        let renderer = SessionRenderer(style: server.terminal.style, width: server.terminal.width)
        var news = server.client.sessionEvents(workspace: workspace, session: session, from: start) {
            server.say((hasLine ? "\r\u{1B}[K" : "") + "connection lost, trying again…")
        }
        while let one = try await news.next() {
            var text: String?
            if server.isJSON {
                text = String(decoding: one.json, as: UTF8.self) + "\n"
            } else if case .event(let event) = one.kind, shows(event) {
                text = renderer.text(event)
            } else if case .gap(let gap) = one.kind {
                text = renderer.text(gap: gap)
            }
            if case .session(let session) = one.kind { desk.withLock { $0.session = session } }
            if hasLine { write(text ?? "") } else if let text { server.terminal.write(text) }
            if case .event(let event) = one.kind, isLast(event) { return }
        }
    }

    /// Text above the line, and the line anew.
    private func write(_ text: String) {
        let line = desk.withLock { $0.line(server.terminal.style) }
        server.terminal.write("\r\u{1B}[K" + text + line)
    }

    // MARK: From the person

    private func type() async throws -> Part {
        let watched = Descriptor(0, loop: server.terminal.loop)
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            try await watched.readable()
            let count = Glibc.read(0, &buffer, buffer.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0 else { return .left }
            for wish in desk.withLock({ $0.take(buffer[..<count]) }) {
                do {
                    guard try await perform(wish) else { return .left }
                } catch {
                    write(Program.text(BerthError(wrapping: error), style: server.terminal.style))
                }
            }
            write("")
        }
    }

    /// Returns false to leave.
    private func perform(_ wish: SessionDesk.Wish) async throws -> Bool {
        var path = ["workspaceId": workspace, "sessionId": session]
        switch wish {
        case .leave: return false
        case .interrupt: let _: AgentSession = try await server.client.call(.agentSessionInterrupt, path: path)
        case .send(let text):
            let _: AgentSession = try await server.client.call(
                .agentSessionSend,
                path: path,
                body: SendMessage(text: text)
            )
        case .answer(let id, let answer):
            path["requestId"] = id
            let _: AgentSession = try await server.client.call(.agentSessionAnswer, path: path, body: answer)
        }
        return true
    }
}

/// What the log and the keyboard share.
private final class SharedDesk: Sendable {
    private let desk = Mutex(SessionDesk())

    func withLock<Value: Sendable>(_ body: (inout sending SessionDesk) -> sending Value) -> Value {
        desk.withLock(body)
    }
}

/// What is written, and what keys mean: pure.
struct SessionDesk: Sendable {
    enum Wish: Sendable, Equatable {
        case leave
        case interrupt
        case send(String)
        case answer(String, AnswerRequest)
    }

    var session: AgentSession?
    private(set) var written: [UInt8] = []

    private var request: SessionRequest? { session?.requests.first }

    /// The line that is written on, with what it is for.
    func line(_ style: Style) -> String {
        let text = String(decoding: written, as: UTF8.self)
        guard let request else {
            let waits = session.map { $0.queue.isEmpty ? "" : " \($0.queue.count) waiting" } ?? ""
            return style.dim((session?.activity.rawValue ?? "") + waits) + " ❯ " + text
        }
        switch request.kind {
        case .permission: return style.yellow(request.allowsAlways ? "[y]es [a]lways [n]o " : "[y]es [n]o ") + text
        case .plan: return style.yellow("[y]es [n]o, or words ") + text
        case .question: return style.yellow("number or words ") + text
        }
    }

    /// Keys, as they come.
    mutating func take(_ bytes: ArraySlice<UInt8>) -> [Wish] {
        // Arrows and other sequences of ESC are no text.
        if bytes.first == 0x1B { return [] }
        return bytes.compactMap { take($0) }
    }

    private mutating func take(_ byte: UInt8) -> Wish? {
        switch byte {
        case 0x1C,
            0x04 where written.isEmpty:
            return .leave
        case 0x03:
            if !written.isEmpty {
                written = []
                return nil
            }
            return session?.status == .running ? .interrupt : .leave
        case 0x7F, 0x08:
            // The whole of a character of several bytes.
            while let last = written.popLast(), last & 0xC0 == 0x80 {}
            return nil
        case 0x15:
            written = []
            return nil
        case 0x0D, 0x0A: return enter()
        case 0..<0x20: return nil
        default:
            if written.isEmpty, let wish = decide(byte) { return wish }
            written.append(byte)
            return nil
        }
    }

    /// A key that is an answer by itself.
    private mutating func decide(_ byte: UInt8) -> Wish? {
        guard let request, request.kind != .question else { return nil }
        switch byte {
        case UInt8(ascii: "y"): return .answer(request.id, AnswerRequest(decision: .allow))
        case UInt8(ascii: "a") where request.allowsAlways:
            return .answer(request.id, AnswerRequest(decision: .allowAlways))
        case UInt8(ascii: "n") where request.kind == .permission:
            return .answer(request.id, AnswerRequest(decision: .deny))
        default: return nil
        }
    }

    private mutating func enter() -> Wish? {
        let text = String(decoding: written, as: UTF8.self).trimmed
        written = []
        guard !text.isEmpty else { return nil }
        if let request, request.kind == .question, request.questions.count == 1,
            let answers = try? SessionDeeds.answers([text], to: request)
        {
            return .answer(request.id, AnswerRequest(decision: .allow, answers: answers))
        }
        if let request, request.kind == .plan, ["n", "no"].contains(text) {
            return .answer(request.id, AnswerRequest(decision: .deny))
        }
        return .send(text)
    }
}

/// A terminal that hands over every key, and writes as usual, until it is restored.
final class KeyMode: Sendable {
    private let descriptor: Int32
    private let before: termios

    /// nil where `descriptor` is no terminal.
    init?(descriptor: Int32) {
        var mode = termios()
        guard tcgetattr(descriptor, &mode) == 0 else { return nil }
        self.descriptor = descriptor
        before = mode
        mode.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
        tcsetattr(descriptor, TCSADRAIN, &mode)
    }

    func restore() {
        var mode = before
        tcsetattr(descriptor, TCSADRAIN, &mode)
    }
}
