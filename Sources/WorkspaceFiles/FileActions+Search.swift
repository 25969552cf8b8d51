internal import Base
internal import Glibc
internal import WorkspaceCalls
internal import WorkspaceTypes

extension FileActions {
    private static let longestLine = 400

    /// git knows what is ignored and what is binary, and searches a large tree quickly; outside a repository it does too.
    func find(_ search: FileSearch) throws -> FileMatches {
        let place = try tree.place(search.path, follows: true)
        _ = try tree.directory(place)
        if let text = search.text { return try lines(with: text, search, below: place) }
        return try names(search, below: place)
    }

    // MARK: Names

    private func names(_ search: FileSearch, below place: WorkspaceTree.Place) throws -> FileMatches {
        var matches = FileMatches(items: [], isTruncated: false)
        let isRepository = FileCalls.status(tree.root.descriptor, Array(".git".utf8)) != nil
        guard isRepository, !search.includesIgnored else {
            walk(try tree.directory(place), place.path, search, into: &matches)
            return matches
        }
        // Both what is tracked and what is new; the former may have been removed.
        let arguments = [
            "git", "-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others", "--exclude-standard",
            "--deduplicate",
        ]
        var parser = Pieces(separator: 0)
        let directory = tree.path.appending(place.path)
        let status = try SpawnedProgram.run(arguments, in: directory) { bytes in
            parser.append(bytes)
            while let name = parser.next() {
                guard fits(name, search), FileCalls.status(tree.root.descriptor, place.path.appending(name)) != nil
                else { continue }
                guard matches.items.count < search.limit else {
                    matches.isTruncated = true
                    return false
                }
                matches.items.append(FileMatch(path: place.path.appending(name).shown))
            }
            return true
        }
        guard status.code == 0 || matches.isTruncated else { throw Self.failure(status.errors) }
        return matches
    }

    private func walk(
        _ directory: Handle,
        _ path: PathBytes,
        _ search: FileSearch,
        into matches: inout FileMatches
    ) {
        for name in FileCalls.names(directory) ?? [] {
            guard !matches.isTruncated, let status = FileCalls.status(directory.descriptor, name) else { continue }
            let here = path.appending(name)
            if status.st_mode & S_IFMT == S_IFDIR {
                guard name != Array(".git".utf8),
                    let inner = FileCalls.open(directory.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                else { continue }
                walk(inner, here, search, into: &matches)
            } else if fits(here, search) {
                if matches.items.count == search.limit {
                    matches.isTruncated = true
                } else {
                    matches.items.append(FileMatch(path: here.shown))
                }
            }
        }
    }

    private func fits(_ path: PathBytes, _ search: FileSearch) -> Bool {
        guard var wanted = search.name.map({ PathBytes($0.utf8) }) else { return true }
        var given = path
        if search.ignoresCase {
            func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }
            wanted = wanted.map(lower)
            given = given.map(lower)
        }
        guard wanted.contains(where: { "*?[".utf8.contains($0) }) else { return given.firstRange(of: wanted) != nil }
        // As git's and the shell's patterns: without a slash the name alone counts.
        if !wanted.contains(UInt8(ascii: "/")) {
            given =
                given.lastIndex(of: UInt8(ascii: "/")).map { PathBytes(given[(given.index(after: $0))...]) } ?? given
        }
        return wanted.withPath { pattern in given.withPath { fnmatch(pattern, $0, 0) } } == 0
    }

    // MARK: Lines

    private func lines(with text: String, _ search: FileSearch, below place: WorkspaceTree.Place) throws -> FileMatches
    {
        var arguments = ["git", "-c", "core.fsmonitor=false", "-c", "submodule.recurse=false", "grep"]
        let isRepository = FileCalls.status(tree.root.descriptor, Array(".git".utf8)) != nil
        arguments += isRepository && !search.includesIgnored ? ["--untracked"] : ["--no-index"]
        arguments += search.includesIgnored ? ["--no-exclude-standard"] : ["--exclude-standard"]
        arguments += ["-z", "-n", "--column", "-I", "--no-color", "--full-name", search.isPattern ? "-E" : "-F"]
        if search.ignoresCase { arguments.append("-i") }
        arguments += ["-e", text, "--", "."]
        var big: [PathBytes] = []
        collectBig(try tree.directory(place), [], into: &big)
        arguments += big.map { ":(exclude,literal)" + String(decoding: $0, as: UTF8.self) }
        var matches = FileMatches(items: [], isTruncated: false)
        var parser = Pieces(separator: UInt8(ascii: "\n"))
        let directory = tree.path.appending(place.path)
        let status = try SpawnedProgram.run(arguments, in: directory) { bytes in
            parser.append(bytes)
            while let line = parser.next() {
                // Path, line and column, each ended by NUL, then the text.
                let fields = line.split(separator: 0, maxSplits: 3, omittingEmptySubsequences: false)
                guard fields.count == 4 else { continue }
                var path = PathBytes(fields[0])
                if !isRepository { path = place.path.appending(path) }
                if path.starts(with: Array(".git/".utf8)) || !fits(path, search) { continue }
                guard matches.items.count < search.limit else {
                    matches.isTruncated = true
                    return false
                }
                matches.items.append(
                    FileMatch(
                        path: path.shown,
                        line: Int(PathBytes(fields[1]).shown),
                        column: Int(PathBytes(fields[2]).shown),
                        text: String(decoding: fields[3].prefix(Self.longestLine), as: UTF8.self)
                    )
                )
            }
            return true
        }
        // 1: nothing was found.
        guard status.code <= 1 || matches.isTruncated else { throw Self.failure(status.errors) }
        return matches
    }

    /// git takes a file that it searches into memory as a whole: one of 10 GB would be the end of what else runs there.
    private static let longestSearched: Int64 = 64 << 20
    /// Names on one command line.
    private static let mostExcluded = 1000

    /// Regular files that are too long to be searched, by their paths below `directory`.
    private func collectBig(_ directory: Handle, _ path: PathBytes, into found: inout [PathBytes]) {
        for name in FileCalls.names(directory) ?? [] {
            guard found.count < Self.mostExcluded, let status = FileCalls.status(directory.descriptor, name) else {
                continue
            }
            let here = path.appending(name)
            switch status.st_mode & S_IFMT {
            case S_IFDIR where name != Array(".git".utf8):
                if let inner = FileCalls.open(directory.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) {
                    collectBig(inner, here, into: &found)
                }
            case S_IFREG where Int64(status.st_size) > Self.longestSearched: found.append(here)
            default: break
            }
        }
    }

    private static func failure(_ errors: [UInt8]) -> BerthError {
        let said = errors.shown.split(separator: "\n").last.map(String.init) ?? "git ended with an error"
        return BerthError(
            .invalidValue,
            "the search failed: \(said.prefix(300))",
            field: "text",
            remedy: "check the pattern: an extended regular expression"
        )
    }
}

/// Divides bytes as they come; what is longer than 64 KiB is cut.
private struct Pieces {
    private static let longest = 64 << 10
    private let separator: UInt8
    private var bytes: [UInt8] = []
    private var start = 0

    init(separator: UInt8) { self.separator = separator }

    mutating func append(_ more: ArraySlice<UInt8>) {
        bytes.removeFirst(start)
        start = 0
        if bytes.count > Self.longest { bytes.removeLast(bytes.count - Self.longest) }
        bytes += more
    }

    mutating func next() -> [UInt8]? {
        guard let end = bytes[start...].firstIndex(of: separator) else { return nil }
        defer { start = end + 1 }
        return Array(bytes[start..<end])
    }
}
