internal import Base
internal import Glibc

/// Brings a fresh checkout's submodules, each through a mirror of its own: the agent's user gets them without any
/// credential. What cannot be had becomes a warning, since the rest of the checkout is good.
struct SubmoduleFetch {
    let git: Git
    /// Of the repository whose submodules these are.
    let mirror: Mirror
    let checkout: String
    var depth = 0

    /// Repositories may name each other in a circle.
    private static let deepest = 8

    private struct Submodule {
        var name: String
        var path: String
        var url: String
    }

    func run() async throws -> [String] {
        guard access(checkout + "/.gitmodules", F_OK) == 0 else { return [] }
        guard depth < Self.deepest else { return ["submodules nested deeper than \(Self.deepest) were left out"] }
        var warnings: [String] = []
        for submodule in try await list() {
            do {
                let url = try GitURL(try resolve(submodule.url), field: "submodule.url")
                guard url.transport != .bundle else {
                    throw BerthError(
                        .unsupported,
                        "'\(submodule.url)' lies beside the repository on its owner's machine, which an environment "
                            + "cannot see; give it a whole URL in .gitmodules"
                    )
                }
                // A repository must not make Berth read this machine's own files.
                guard url.transport != .path || mirror.url.transport == .path else {
                    throw BerthError(.invalidValue, "a path on this machine is not allowed here")
                }
                let inner = mirror.sibling(url)
                try await fetch(submodule, from: inner)
                let path = "\(checkout)/\(submodule.path)"
                warnings += try await Self(git: git, mirror: inner, checkout: path, depth: depth + 1).run()
            } catch let error as BerthError {
                warnings.append("the submodule '\(submodule.path)' could not be fetched: \(error.message)")
            }
        }
        return warnings
    }

    private func list() async throws -> [Submodule] {
        let result = try await git.asAgent(
            ["config", "-z", "-f", ".gitmodules", "--get-regexp", #"^submodule\..*\.(path|url)$"#],
            in: checkout
        )
        var paths: [String: String] = [:]
        var urls: [String: String] = [:]
        for entry in result.output.split(separator: 0) {
            let text = String(decoding: entry, as: UTF8.self)
            guard let newline = text.firstIndex(of: "\n") else { continue }
            let key = text[..<newline].dropFirst("submodule.".count)
            let value = String(text[newline...].dropFirst())
            if key.hasSuffix(".path") { paths[String(key.dropLast(5))] = value }
            if key.hasSuffix(".url") { urls[String(key.dropLast(4))] = value }
        }
        return paths.sorted { $0.key < $1.key }.compactMap { name, path in
            guard let url = urls[name], !name.contains("="), !name.contains("\n"), !path.looksLikeOption else {
                return nil
            }
            return Submodule(name: name, path: path, url: url)
        }
    }

    /// gitmodules(5): `./` and `../` are relative to the repository's own URL.
    private func resolve(_ url: String) throws(BerthError) -> String {
        guard url.hasPrefix("./") || url.hasPrefix("../") else { return url }
        var base = mirror.url.text[...]
        var rest = url[...]
        while base.hasSuffix("/") { base = base.dropLast() }
        while true {
            if rest.hasPrefix("./") {
                rest = rest.dropFirst(2)
            } else if rest.hasPrefix("../") {
                rest = rest.dropFirst(3)
                guard let slash = base.lastIndex(where: { $0 == "/" || $0 == ":" }) else {
                    throw BerthError(.invalidValue, "'\(url)' leads out of \(mirror.url)")
                }
                base = base[slash] == ":" ? base[...slash] : base[..<slash]
            } else {
                return base.hasSuffix(":") ? "\(base)\(rest)" : "\(base)/\(rest)"
            }
        }
    }

    private func fetch(_ submodule: Submodule, from inner: Mirror) async throws {
        let recorded = try await git.asAgent(
            ["rev-parse", "--verify", "--quiet", "HEAD:\(submodule.path)"],
            in: checkout
        )
        guard recorded.succeeded else {
            throw BerthError(.reference, "no commit is recorded for it")
        }
        let commit = recorded.outputText.trimmed
        _ = try await inner.offer()
        try await inner.update()
        if try await inner.hasCommit(commit) == nil { try? await inner.fetchCommit(commit) }
        guard try await inner.hasCommit(commit) != nil else {
            throw BerthError(.reference, "\(inner.url) does not have its commit \(commit.prefix(12))")
        }
        let update = try await git.asAgent(
            [
                "-c", "protocol.file.allow=always", "-c", "submodule.\(submodule.name).url=\(inner.path)",
                "submodule", "--quiet", "update", "--init", "--", submodule.path,
            ],
            in: checkout,
            usingOwnConfiguration: true,
            deadline: git.configuration.transferDeadline
        )
        guard update.succeeded else {
            throw BerthError(.internal, GitFailure.lastLine(update.errorText))
        }
        let settings = [
            (checkout, ["config", "submodule.\(submodule.name).url", inner.url.text]),
            (checkout, ["config", "submodule.\(submodule.name).active", "true"]),
            ("\(checkout)/\(submodule.path)", ["remote", "set-url", "origin", inner.url.text]),
        ]
        for (directory, arguments) in settings {
            _ = try await git.asAgent(arguments, in: directory).checked("name the submodule's remote")
        }
    }
}
