import API
import Base
import Client
import Domain
import Glibc
import WorkspaceTypes

/// `file …`: what is in the checkout of a workspace.
enum FileCommands {
    static let all = [list, show, write, stat, remove, move, makeDirectory, find, watch, FileCopyCommand.command]

    static let workspace = Operand(name: "WORKSPACE", count: .one, about: "name or id of a workspace")
    private static let path = Operand(name: "PATH", count: .one, about: "within the workspace")

    private static let list = Command(
        path: ["file", "ls"],
        summary: "List a directory of a workspace.",
        operands: [
            workspace, Operand(name: "PATH", count: .optional, about: "within the workspace; default all of it"),
        ],
        options: [.value("depth", "N", "Levels, 1 to 64; default 1.")],
        examples: [Example(line: "berth file ls fix-login src", about: "Kind, size, age and name")]
    ) { arguments, terminal in
        let depth = try arguments.integer("depth", in: 1...64)
        return try await ServerSession.with(arguments, terminal) { session in
            var query = [("path", arguments.operands.dropFirst().first ?? ""), ("limit", "20000")]
            if let depth { query.append(("depth", "\(depth)")) }
            let listing: FileListing = try await session.client.call(
                .fileList,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])],
                query: query
            )
            try session.print(listing) { terminal.text(Self.table(listing.items, terminal)) }
            if listing.isTruncated { session.say("there is more; list a smaller directory") }
            return 0
        }
    }

    private static func table(_ entries: [FileEntry], _ terminal: Terminal) -> Table {
        var table = Table(header: ["MODE", "SIZE", "AGE", "PATH"])
        for entry in entries {
            let name = entry.kind == .directory ? entry.path + "/" : entry.path
            table.rows.append([
                entry.mode, entry.kind == .file ? SizeText.text(entry.size) : "-", terminal.age(entry.modifiedAt),
                entry.target.map { "\(name) → \($0)" } ?? name,
            ])
        }
        return table
    }

    private static let show = Command(
        path: ["file", "cat"],
        summary: "Write a file of a workspace to standard output, byte for byte.",
        operands: [workspace, path],
        options: [
            .value("offset", "N", "First byte; default 0."), .value("length", "N", "Bytes; default to the end."),
        ],
        examples: [Example(line: "berth file cat fix-login src/main.swift", about: "Its content")]
    ) { arguments, terminal in
        let offset = try arguments.integer("offset", in: 0...Int.max) ?? 0
        let length = try arguments.integer("length", in: 0...Int.max)
        return try await ServerSession.with(arguments, terminal) { session in
            try await session.client.readFile(
                arguments.operands[1],
                of: try await session.workspace(arguments.operands[0]),
                from: Int64(offset),
                length: length.map(Int64.init)
            ) { terminal.writeBytes($0, toError: false) }
            return 0
        }
    }

    private static let write = Command(
        path: ["file", "put"],
        summary: "Write standard input into a file of a workspace, as a whole.",
        operands: [workspace, path],
        options: [
            .value("if-match", "ETAG", "Only if its entity tag (file stat) is this one."),
            .flag("new", "Only if it is not there yet."),
            .flag("parents", short: "p", "Make the directories above it."),
            .value("bits", "OCTAL", "Permission bits of a new file; default 644."),
        ],
        examples: [Example(line: "berth file put fix-login notes.md <notes.md", about: "New, or replaced at once")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            var query: [(String, String)] = arguments.has("parents") ? [("parents", "true")] : []
            if let mode = arguments.text("bits") { query.append(("mode", mode)) }
            let entry = try await session.client.writeFile(
                arguments.operands[1],
                of: try await session.workspace(arguments.operands[0]),
                query: query,
                ifMatch: arguments.text("if-match"),
                isNew: arguments.has("new")
            ) {
                let bytes = FileBlocks.read(0)
                return bytes.isEmpty ? nil : bytes
            }
            try session.print(entry) { "\(entry.path): \(SizeText.text(entry.size))\n" }
            return 0
        }
    }

    private static let stat = Command(
        path: ["file", "stat"],
        summary: "Show one entry of a workspace, with its entity tag.",
        operands: [workspace, path],
        examples: [Example(line: "berth file stat fix-login notes.md", about: "Kind, size, mode, time, tag")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let entry: FileEntry = try await session.client.call(
                .fileStat,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])],
                query: [("path", arguments.operands[1])]
            )
            try session.print(entry) {
                var text = "\(terminal.style.bold(entry.path.isEmpty ? "." : entry.path))\n"
                text += "  kind      \(entry.kind.rawValue)\n  size      \(entry.size)\n  mode      \(entry.mode)\n"
                text += "  modified  \(entry.modifiedAt)\n"
                if let etag = entry.etag { text += "  tag       \(etag)\n" }
                if let target = entry.target { text += "  target    \(target)\n" }
                return text
            }
            return 0
        }
    }

    private static let remove = Command(
        path: ["file", "rm"],
        summary: "Remove a file, a symlink or a directory of a workspace.",
        operands: [workspace, path],
        options: [.flag("recursive", short: "r", "A directory with what is in it.")],
        examples: [Example(line: "berth file rm -r fix-login build", about: "A directory")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let tally: FileTally = try await session.client.call(
                .fileRemove,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])],
                query: [("path", arguments.operands[1]), ("recursive", arguments.has("recursive") ? "true" : "false")]
            )
            try session.print(tally) { "removed \(tally.summary)\n" }
            return 0
        }
    }

    private static let move = Command(
        path: ["file", "mv"],
        summary: "Move or rename within a workspace.",
        operands: [
            workspace, Operand(name: "FROM", count: .one, about: "within the workspace"),
            Operand(name: "TO", count: .one, about: "a new path, or a directory"),
        ],
        options: [.flag("force", short: "f", "Replace what is there.")],
        examples: [Example(line: "berth file mv fix-login a.txt docs/b.txt", about: "Nothing is overwritten")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let entry: FileEntry = try await session.client.call(
                .fileMove,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])],
                body: MoveFile(
                    from: arguments.operands[1],
                    to: arguments.operands[2],
                    replace: arguments.has("force") ? true : nil
                )
            )
            try session.print(entry) { "\(entry.path)\n" }
            return 0
        }
    }

    private static let makeDirectory = Command(
        path: ["file", "mkdir"],
        summary: "Make a directory in a workspace.",
        operands: [workspace, path],
        options: [.flag("parents", short: "p", "Also those above it.")],
        examples: [Example(line: "berth file mkdir -p fix-login docs/images", about: "With those above it")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let entry: FileEntry = try await session.client.call(
                .fileMakeDirectory,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])],
                body: MakeDirectory(path: arguments.operands[1], parents: arguments.has("parents") ? true : nil)
            )
            try session.print(entry) { "\(entry.path)/\n" }
            return 0
        }
    }

    private static let find = Command(
        path: ["file", "find"],
        summary: "Search the files of a workspace by name and content.",
        operands: [workspace, Operand(name: "TEXT", count: .optional, about: "part of a line")],
        options: [
            .value("name", "NAME", "Part of a path, or a pattern such as '*.swift'."),
            .value("in", "PATH", "Below this directory."),
            .flag("pattern", short: "E", "TEXT is a regular expression."),
            .flag("ignore-case", short: "i", "Upper and lower case are the same."),
            .flag("ignored", "Also what git ignores."), .value("limit", "N", "Matches at most; default 500."),
        ],
        examples: [
            Example(line: "berth file find fix-login 'func login'", about: "Lines, with their places"),
            Example(line: "berth file find fix-login --name '*.md'", about: "Files by name"),
        ],
        discussion: "Files of more than 64 MiB are not searched for TEXT."
    ) { arguments, terminal in
        var query: [(String, String)] = []
        if let text = arguments.operands.dropFirst().first { query.append(("text", text)) }
        for (option, name) in [("name", "name"), ("in", "path"), ("limit", "limit")] {
            if let value = arguments.text(option) { query.append((name, value)) }
        }
        for (option, name) in [("pattern", "pattern"), ("ignore-case", "ignoreCase"), ("ignored", "ignored")]
        where arguments.has(option) { query.append((name, "true")) }
        let wanted = query
        return try await ServerSession.with(arguments, terminal) { session in
            let matches: FileMatches = try await session.client.call(
                .fileSearch,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])],
                query: wanted
            )
            try session.print(matches) {
                matches.items.map { match in
                    let path = terminal.style.cyan(match.path)
                    return match.line.map { "\(path):\($0): \((match.text ?? "").trimmed)\n" } ?? "\(path)\n"
                }.joined()
            }
            if matches.isTruncated { session.say("there are more; narrow the search, or raise --limit") }
            // As grep(1) says that nothing was found.
            return matches.items.isEmpty ? 1 : 0
        }
    }

    private static let watch = Command(
        path: ["file", "watch"],
        summary: "Tell what changes below a directory of a workspace, until Ctrl-C.",
        operands: [workspace, Operand(name: "PATH", count: .optional, about: "default the whole workspace")],
        examples: [Example(line: "berth file watch fix-login src --json", about: "One JSON object per line")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            try await session.client.watchFiles(
                arguments.operands.dropFirst().first ?? "",
                of: try await session.workspace(arguments.operands[0])
            ) { changes in
                if changes.isEmpty { return session.say("watching") }
                for change in changes {
                    if session.isJSON {
                        terminal.writeBytes(try JSONBody.encode(change) + Array("\n".utf8), toError: false)
                    } else {
                        terminal.write("\(change.kind.rawValue.padded(to: 10)) \(change.path)\n")
                    }
                }
            }
            return 0
        }
    }
}

extension FileTally {
    /// For people, such as `12 files, 3.4M`.
    var summary: String {
        var parts = ["\(files) \(files == 1 ? "file" : "files")"]
        if directories > 0 { parts.append("\(directories) \(directories == 1 ? "directory" : "directories")") }
        if symlinks > 0 { parts.append("\(symlinks) \(symlinks == 1 ? "symlink" : "symlinks")") }
        return parts.joined(separator: ", ") + ", \(SizeText.text(bytes))"
    }
}

enum FileBlocks {
    private static let size = 256 << 10

    /// Up to a block from where the file stands; empty at its end.
    static func read(_ file: Int32) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = max(0, Glibc.read(file, buffer.baseAddress, size))
        }
    }
}

extension ServerSession {
    /// The id of a workspace that is named by its id or by its name.
    func workspace(_ text: String) async throws -> String {
        if text.hasPrefix("ws_") { return text }
        var cursor: String?
        var found: [Workspace] = []
        var names: [String] = []
        repeat {
            var query = [("limit", "200")]
            if let cursor { query.append(("cursor", cursor)) }
            let page: Page<Workspace> = try await client.call(.workspaceList, query: query)
            found += page.items.filter { $0.name == text && $0.status != .archived }
            names += page.items.map(\.name)
            cursor = page.nextCursor
        } while cursor != nil
        guard found.count <= 1 else {
            throw BerthError(
                .conflict,
                "\(found.count) workspaces are called '\(text)'",
                field: "WORKSPACE",
                remedy: "name one by its id: \(found.prefix(5).map(\.id.text).joined(separator: ", "))"
            )
        }
        guard let one = found.first else {
            throw BerthError(
                .notFound,
                "there is no workspace '\(text.prefix(80))'",
                field: "WORKSPACE",
                remedy: Similarity.nearest(text, in: names).map { "did you mean '\($0)'?" }
                    ?? "see 'berth ws ls', and with --archived those without a working tree"
            )
        }
        return one.id.text
    }
}
