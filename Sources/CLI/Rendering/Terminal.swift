import Base
import EventLoop
import Glibc

/// The program's streams and surroundings, read once in `main`.
struct Terminal: Sendable {
    /// Where the program lives.
    var loop: EventLoop
    var environment: [String: String]
    var isOutputTerminal: Bool
    var isErrorTerminal: Bool
    /// Columns of the terminal on standard output.
    var width: Int

    var style: Style { Style(isColored: isOutputTerminal && allowsColor) }
    var errorStyle: Style { Style(isColored: isErrorTerminal && allowsColor) }

    private var allowsColor: Bool { (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb" }

    /// The table as wide as this terminal; whole where a program reads it.
    func text(_ table: Table) -> String { table.text(style: style, width: isOutputTerminal ? width : nil) }
    func age(_ moment: Timestamp) -> String { AgeText.text(moment, now: loop.time.now) }

    func write(_ text: String) { Self.write(Array(text.utf8), to: 1) }
    func writeError(_ text: String) { Self.write(Array(text.utf8), to: 2) }
    func writeBytes(_ bytes: [UInt8], toError: Bool) { Self.write(bytes, to: toError ? 2 : 1) }

    static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, -1)
            } else if count < 0, errno != EINTR {
                return
            }
        }
    }
}

/// ANSI styles, or none.
struct Style: Sendable {
    var isColored: Bool

    func bold(_ text: String) -> String { wrap(text, "1") }
    func dim(_ text: String) -> String { wrap(text, "2") }
    func red(_ text: String) -> String { wrap(text, "31") }
    func green(_ text: String) -> String { wrap(text, "32") }
    func yellow(_ text: String) -> String { wrap(text, "33") }
    func cyan(_ text: String) -> String { wrap(text, "36") }

    private func wrap(_ text: String, _ code: String) -> String {
        isColored ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}
