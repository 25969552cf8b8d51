import Base
import Domain
import FoundationEssentials
import Glibc

/// A working tree of this machine with all that is no commit yet, as a bundle: index, files, stashes, branches. Everything
/// that git has to write for it goes into a repository beside, so that the person's own stays byte for byte as it is.
struct WorkingTreeState: Sendable {
    var state: WorkspaceSetup.AdoptedState
    /// nil: no branch is checked out.
    var branch: String?
    /// The remote that it came from, where an environment could reach it.
    var remote: String?

    private static let author = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"]

    /// Writes the bundle into an open file.
    static func capture(_ repository: LocalRepository, into file: CInt) throws -> WorkingTreeState {
        guard !repository.isBare, !repository.isEmpty,
            try repository.git("rev-parse", "--verify", "--quiet", "HEAD^{commit}").succeeded
        else {
            throw BerthError(
                .repositoryEmpty,
                "\(repository.path) has no commit that a workspace could begin with",
                field: "PATH",
                remedy: "make a first commit; an empty one does: git commit --allow-empty -m First"
            )
        }
        let scratch = try Scratch(repository)
        defer { scratch.remove() }
        let head = try repository.git("rev-parse", "HEAD").text
        let branch = try repository.git("symbolic-ref", "--quiet", "--short", "HEAD")
        let state = WorkspaceSetup.AdoptedState(
            head: head,
            index: try scratch.commit(try scratch.tree(withFiles: false), on: head),
            files: try scratch.commit(try scratch.tree(withFiles: true), on: head),
            stashes: try repository.git("stash", "list", "--format=%H").text.split(separator: "\n").map(String.init)
        )
        try scratch.bundle(state, into: file)
        let remote = try repository.git("config", "--get", "remote.origin.url")
        let url = remote.succeeded ? try? RepositoryURL(remote.text) : nil
        return WorkingTreeState(
            state: state,
            branch: branch.succeeded ? branch.text : nil,
            remote: url.flatMap { $0.text.hasPrefix("/") ? nil : $0.text }
        )
    }

    /// A bare repository in a directory of its own that borrows the person's objects.
    private struct Scratch {
        let repository: LocalRepository
        let folder: String
        let objects: String

        init(_ repository: LocalRepository) throws {
            self.repository = repository
            objects = try repository.git("rev-parse", "--path-format=absolute", "--git-path", "objects").text
            folder = try PrivateFolder.make(repository.environment)
            try run(["init", "--quiet", "--bare", "--template=", git], in: folder)
            try Data("\(objects)\n".utf8).write(to: URL(filePath: "\(git)/objects/info/alternates"))
        }

        var git: String { folder + "/git" }

        func remove() { try? FileManager.default.removeItem(atPath: folder) }

        /// Of the index as it is, or with every file that is not ignored.
        func tree(withFiles: Bool) throws -> String {
            let index = "\(folder)/index"
            let own = try repository.git("rev-parse", "--path-format=absolute", "--git-path", "index").text
            try? FileManager.default.removeItem(atPath: index)
            // Without one nothing is staged, and nothing is tracked.
            if FileManager.default.fileExists(atPath: own) {
                try FileManager.default.copyItem(atPath: own, toPath: index)
            }
            var variables = repository.environment
            variables["GIT_INDEX_FILE"] = index
            variables["GIT_OBJECT_DIRECTORY"] = git + "/objects"
            variables["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = objects
            if withFiles { try run(["add", "--all", "--", "."], in: repository.path, variables) }
            let written = try GitCommand.run(["write-tree"], in: repository.path, environment: variables)
            guard written.succeeded else {
                throw BerthError(
                    .conflict,
                    "the index of \(repository.path) cannot be taken: \(written.complaint)",
                    field: "PATH",
                    remedy: "finish the merge or rebase that is in progress, or abort it"
                )
            }
            return written.text
        }

        func commit(_ tree: String, on head: String) throws -> String {
            var variables = repository.environment
            for name in WorkingTreeState.author {
                variables[name] = name.hasSuffix("EMAIL") ? "berth@localhost" : "Berth"
            }
            return try run(["commit-tree", tree, "-p", head, "-m", "State of a working tree"], in: git, variables).text
        }

        func bundle(_ state: WorkspaceSetup.AdoptedState, into file: CInt) throws {
            try run(
                [
                    "fetch", "--quiet", "--no-write-fetch-head", repository.path, "+refs/heads/*:refs/heads/*",
                    "+refs/tags/*:refs/tags/*", "+refs/remotes/origin/*:refs/remotes/origin/*",
                ],
                in: git
            )
            for commit in [state.head] + state.commits {
                try run(["update-ref", WorkspaceSetup.AdoptedState.prefix + commit, commit], in: git)
            }
            try run(["update-ref", "--no-deref", "HEAD", state.head], in: git)
            let made = try GitCommand.run(
                ["-c", "core.bigFileThreshold=1m", "bundle", "create", "--quiet", "-", "--all", "HEAD"],
                in: git,
                environment: repository.environment,
                into: file
            )
            guard made.succeeded else {
                throw BerthError(
                    made.errors.contains("No space left") ? .diskFull : .unsupported,
                    "git cannot bundle \(repository.path): \(made.complaint)",
                    field: "PATH",
                    remedy: "free space, or name another directory with TMPDIR"
                )
            }
        }

        @discardableResult
        private func run(_ arguments: [String], in directory: String, _ variables: [String: String]? = nil) throws
            -> GitCommand
        {
            let result = try GitCommand.run(
                arguments,
                in: directory,
                environment: variables ?? repository.environment
            )
            guard result.succeeded else {
                throw BerthError(
                    result.errors.contains("No space left") ? .diskFull : .unsupported,
                    "git \(arguments[0]) for \(repository.path) failed: \(result.complaint)",
                    field: "PATH"
                )
            }
            return result
        }
    }
}
