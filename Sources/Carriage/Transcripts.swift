internal import Base
internal import FoundationEssentials
internal import Glibc

/// Where the agents' own programs keep their memory of a checkout: the Claude CLI in `~/.claude/projects/` under the
/// checkout's path, Codex in `~/.codex/sessions/` with the path in a file's first line.
enum Transcripts {
    struct Found {
        /// Does not depend on where the checkout and the home lie: `claude/project/…`, `claude/home/…`, `codex/…`.
        var name: String
        var place: String
    }

    /// As the Claude CLI (2.1) names a project's directory.
    static func projectName(_ checkout: String) -> String {
        String(checkout.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" })
    }

    private static func project(_ checkout: String, _ home: String) -> String {
        "\(home)/.claude/projects/\(projectName(checkout))"
    }

    /// Directories of the Claude CLI that have entries by session.
    private static let bySession = ["todos", "file-history", "tasks", "plans"]

    static func found(checkout: String, home: String) -> [Found] {
        let project = project(checkout, home)
        let own = files(below: project)
        var found = own.map { Found(name: "claude/project/\($0)", place: "\(project)/\($0)") }
        let sessions = own.filter { $0.hasSuffix(".jsonl") && !$0.contains("/") }.map { String($0.dropLast(6)) }
        for directory in bySession {
            for name in files(below: "\(home)/.claude/\(directory)")
            where sessions.contains(where: { name.hasPrefix($0) }) {
                found.append(
                    Found(name: "claude/home/\(directory)/\(name)", place: "\(home)/.claude/\(directory)/\(name)")
                )
            }
        }
        let codex = "\(home)/.codex/sessions"
        for name in files(below: codex) where name.hasSuffix(".jsonl") && begins("\(codex)/\(name)", in: checkout) {
            found.append(Found(name: "codex/\(name)", place: "\(codex)/\(name)"))
        }
        return found
    }

    /// Whether Codex's first line names this directory.
    private static func begins(_ path: String, in checkout: String) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return false }
        defer { close(file) }
        let head = (try? OpenedFile.read(file, upTo: 64 << 10)) ?? []
        return String(decoding: head, as: UTF8.self).contains("\"cwd\":\(JSONText.quoted(checkout))")
    }

    /// Where a file of this name belongs on another machine; nil for names that are none of ours.
    static func place(of name: String, checkout: String, home: String) -> String? {
        if name.hasPrefix("claude/project/") {
            return "\(project(checkout, home))/\(name.dropFirst("claude/project/".count))"
        }
        if name.hasPrefix("claude/home/"), bySession.contains(where: { name.hasPrefix("claude/home/\($0)/") }) {
            return "\(home)/.claude/\(name.dropFirst("claude/home/".count))"
        }
        if name.hasPrefix("codex/") { return "\(home)/.codex/sessions/\(name.dropFirst("codex/".count))" }
        return nil
    }

    /// What stands in a text for places of the one machine, and for those of the other.
    static func replacements(from old: (checkout: String, home: String), to new: (checkout: String, home: String))
        -> [(old: [UInt8], new: [UInt8])]
    {
        [
            (project(old.checkout, old.home), project(new.checkout, new.home)),
            (old.checkout, new.checkout),
        ]
        .filter { $0.0 != $0.1 }
        .map { (Array($0.0.utf8), Array($0.1.utf8)) }
    }

    static func isText(_ name: String) -> Bool {
        [".jsonl", ".json", ".txt", ".md"].contains { name.hasSuffix($0) }
    }

    private static func files(below directory: String) -> [String] {
        let all = (try? FileManager.default.subpathsOfDirectory(atPath: directory)) ?? []
        return all.sorted().filter { name in
            var status = stat()
            return lstat("\(directory)/\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        }
    }
}

/// Replaces paths in a text that comes in pieces. A path that goes on as another name is left as it is.
struct PathRewriter {
    private let replacements: [(old: [UInt8], new: [UInt8])]
    private let longest: Int
    private var waiting: [UInt8] = []

    init(_ replacements: [(old: [UInt8], new: [UInt8])]) {
        self.replacements = replacements
        longest = (replacements.map(\.old.count).max() ?? 0) + 1
    }

    mutating func feed(_ bytes: [UInt8]) -> [UInt8] { rewrite(bytes, isLast: false) }
    mutating func finish() -> [UInt8] { rewrite([], isLast: true) }

    private mutating func rewrite(_ bytes: [UInt8], isLast: Bool) -> [UInt8] {
        if replacements.isEmpty { return bytes }
        let text = waiting + bytes
        // What begins nearer to the end than a path and one byte may go on in the next piece.
        let stop = isLast ? text.count : max(0, text.count - longest)
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var place = 0
        while place < stop {
            if text[place] == PathBytes.slash, let match = replacements.first(where: { Self.has($0.old, text, place) })
            {
                result += match.new
                place += match.old.count
            } else {
                result.append(text[place])
                place += 1
            }
        }
        waiting = Array(text[min(place, text.count)...])
        return result
    }

    private static func has(_ path: [UInt8], _ text: [UInt8], _ place: Int) -> Bool {
        let end = place + path.count
        guard end <= text.count, text[place..<end].elementsEqual(path) else { return false }
        guard end < text.count else { return true }
        let next = text[end]
        let goesOn =
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(next | 0x20)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(next) || "_-.".utf8.contains(next)
        return !goesOn
    }
}
