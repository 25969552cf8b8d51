import API
import Base
import Client
import Domain
import Glibc

extension ServerSession {
    /// Sends a repository of this machine and says how the request is to name it.
    func send(_ repository: LocalRepository, _ checkout: CreateExecution.Checkout) async throws
        -> CreateExecution.Checkout
    {
        var checkout = checkout
        checkout.url = repository.name
        if let left = try repository.leftBehind() {
            say(
                "note: \(left) in \(repository.path) \(left.hasPrefix("1 ") && !left.contains("and") ? "is" : "are") "
                    + "not committed, so the agent does not see them"
            )
        }
        if repository.isEmpty { return checkout }
        checkout.base = try checkout.base.map { try repository.base($0) }
        checkout.upload = try await PrivateFolder.withFile(terminal.environment) { [checkout] file in
            try repository.bundle(into: file, including: checkout.base)
            var status = stat()
            guard fstat(file, &status) == 0 else { throw BerthError(.unavailable, "git made no bundle") }
            say("sending \(repository.path) (\(SizeText.text(Int64(status.st_size))))…")
            return try await client.upload(file, bytes: Int64(status.st_size)).id
        }
        return checkout
    }

    /// Where the branch of a remote repository is to be had when nothing was pushed.
    func tellUnpushed(_ id: ExecutionID) async throws {
        let execution: Execution = try await client.call(.executionGet, path: ["executionId": id.text])
        guard let outcome = execution.report?.workspace, outcome.bundle != nil, !outcome.pushed else { return }
        say("the branch was not pushed; bring it into a clone with: berth fetch \(id)")
    }

    /// Fetches the branch of an execution into a repository here. nil when it made no new commits.
    func fetch(_ execution: Execution, into repository: LocalRepository) async throws -> ReturnedBranch? {
        guard execution.status.hasEnded else {
            throw BerthError(
                .illegalTransition,
                "\(execution.id) has not ended yet",
                remedy: "wait for its end: berth logs -f \(execution.id)"
            )
        }
        guard let mark = execution.report?.workspace?.bundle else { return nil }
        return try await PrivateFolder.with(terminal.environment) { folder in
            let file = folder + "/bundle"
            try await client.bundle(of: execution.id, mark, to: file)
            return try ReturnedBranch.take(file, branch: mark.branch, into: repository)
        }
    }

    /// One more line behind the events of a run.
    func writeEvent(_ branch: ReturnedBranch, in repository: LocalRepository) throws {
        struct Event: Encodable {
            var event = "branch"
            var data: FetchedBranch
        }
        let line = try JSONBody.encode(Event(data: FetchedBranch(branch, in: repository)))
        terminal.writeBytes(line + Array("\n".utf8), toError: false)
    }

    /// Says where the work is now and how to look at it; beside a command's own bytes on standard error.
    func tell(
        _ branch: ReturnedBranch,
        of execution: Execution,
        in repository: LocalRepository,
        toError: Bool = false
    ) {
        let style = toError ? terminal.errorStyle : terminal.style
        let count = execution.report?.workspace?.commits.count ?? 0
        let commits = "\(count) \(count == 1 ? "commit" : "commits")"
        var lines: [String] = []
        if branch.isKnown {
            lines.append("The branch \(style.bold(branch.name)) is in \(repository.path) already.")
        } else {
            lines.append(
                "The branch \(style.bold(branch.name)) is in \(repository.path) now, with \(commits); "
                    + "your files and your own branch are as they were."
            )
        }
        if let reason = branch.reason { lines.append("It has another name here, because \(reason).") }
        lines.append("  look at it   git log -p ..\(branch.name)")
        lines.append("  take it      git merge \(branch.name)")
        terminal.writeBytes(Array((lines.joined(separator: "\n") + "\n").utf8), toError: toError)
    }
}

/// A returned branch, for programs.
struct FetchedBranch: Encodable {
    var branch: String
    var repository: String
    /// Why it has another name than the task gave it.
    var reason: String?

    init(_ branch: ReturnedBranch, in repository: LocalRepository) {
        self.branch = branch.name
        self.repository = repository.path
        reason = branch.reason
    }
}
