import Base
import Database
public import Domain

// From a wish to a row and to what its worker is to do.
extension WorkspaceService {
    /// An execution has to take it up by then.
    static let takeUpTime = Duration.seconds(600)
    private static let nameLimit = 60

    /// Records a workspace and says what its worker is to check out; hand `request` to the execution.
    public func create(_ new: NewWorkspace) async throws -> (workspace: WorkspaceRecord, request: WorkspaceRequest) {
        let id: WorkspaceID = ids.make()
        let branch =
            try new.branch.map { name throws(BerthError) in try BranchName(name, field: "repository.branch") }
            ?? BranchName(task: new.task, workspace: id)
        if let base = new.baseReference { try Self.validate(reference: base) }
        if let name = new.name { try Self.validate(name: name) }
        let repository = try await repository(
            new.repositoryURL,
            organization: new.organizationID,
            by: new.ownerID
        )
        let slug = BranchName.slug(repository.name, limit: 30)
        let directory = new.directory ?? "\(slug.isEmpty ? "repository" : slug)-\(id.text.suffix(6))"
        let words = BranchName.slug(new.task, limit: 48)
        let now = time.now
        let sealed = try new.credentials.map { try self.sealed($0, of: id, new.organizationID) }
        let workspace = try await feed.transaction(organization: new.organizationID) { transaction in
            let name = try Self.freeName(new, words, "\(id.text.suffix(6))", directory, in: transaction)
            try Self.checkPlace(new, repository, branch, directory, in: transaction)
            try transaction.run(
                WorkspaceStore.insert,
                id,
                new.organizationID,
                new.ownerID,
                new.environmentID,
                repository.id,
                name,
                directory,
                WorkspaceState.new.rawValue,
                new.location.rawValue,
                new.baseReference,
                branch.text,
                new.issueURL,
                now,
                now,
                new.description,
                new.source.rawValue,
                new.parentID,
                new.branch == nil ? 1 : 0,
                new.issueNumber,
                new.issueTitle,
                new.autoStopMinutes,
                new.isCloudSyncEnabled ? 1 : 0,
                sealed,
                try new.setup.map { try JSONColumn.text($0) },
                now + Self.takeUpTime
            )
            guard let row = try transaction.first(WorkspaceStore.byID, id, new.organizationID) else {
                throw Self.unknown(id)
            }
            let record = try WorkspaceStore.record(row)
            transaction.record(try Self.fact("workspace.created", record, by: new.ownerID, at: now))
            return record
        }
        .value
        var request = Self.request(workspace, repository, push: new.push, commitLeftovers: new.commitLeftovers)
        request.setup = new.setup
        return (workspace, request)
    }

    /// The name that was chosen, which nobody else's may be, or the first free one of the task's words.
    private static func freeName(
        _ new: NewWorkspace,
        _ words: String,
        _ suffix: String,
        _ directory: String,
        in transaction: FeedTransaction
    ) throws -> String {
        func isTaken(_ name: String) throws -> Bool {
            try transaction.first(WorkspaceStore.nameIsTaken, new.organizationID, new.ownerID, name) != nil
        }
        if let name = new.name {
            guard try !isTaken(name) else { throw nameTaken(name) }
            return name
        }
        guard !words.isEmpty, try isTaken(words) else { return words.isEmpty ? "\(directoryName(directory))" : words }
        return "\(words)-\(suffix)"
    }

    private static func directoryName(_ directory: String) -> Substring {
        directory.split(separator: "/").last ?? "workspace"
    }

    static func nameTaken(_ name: String) -> BerthError {
        BerthError(
            .conflict,
            "you have a workspace '\(name)' already",
            field: "name",
            remedy: "choose another name, or archive that one"
        )
    }

    /// Two workspaces of one environment on one branch would undo each other's pushes.
    private static func checkPlace(
        _ new: NewWorkspace,
        _ repository: RepositoryRecord,
        _ branch: BranchName,
        _ directory: String,
        in transaction: FeedTransaction
    ) throws {
        guard new.setup != nil else { return }
        if new.directory != nil,
            let other = try transaction.first(WorkspaceStore.sameDirectory, new.environmentID, directory)
        {
            throw BerthError(
                .conflict,
                "\(directory) is the workspace '\(try other.text("name"))' already",
                field: "path",
                remedy: "use that one: berth ws show \(try other.text("name"))"
            )
        }
        if let other = try transaction.first(
            WorkspaceStore.sameBranch,
            new.environmentID,
            repository.id,
            branch.text
        ) {
            throw BerthError(
                .conflict,
                "the branch '\(branch)' is checked out in the workspace '\(try other.text("name"))'",
                field: "repository.branch",
                remedy: "go on there, choose another branch, or archive it: berth ws archive \(try other.text("name"))"
            )
        }
    }

    /// For a further run in a workspace that exists.
    public func request(_ workspace: WorkspaceRecord, push: Bool, commitLeftovers: Bool) async throws
        -> WorkspaceRequest
    {
        guard workspace.state != .archived else {
            throw BerthError(
                .illegalTransition,
                "the workspace is archived",
                remedy: "bring it back with 'berth ws unarchive \(workspace.name)'"
            )
        }
        guard let repositoryID = workspace.repositoryID else {
            throw BerthError(.unsupported, "the workspace has no repository")
        }
        let repository = try await repository(repositoryID, organization: workspace.organizationID)
        return Self.request(workspace, repository, push: push, commitLeftovers: commitLeftovers)
    }

    private static func request(
        _ workspace: WorkspaceRecord,
        _ repository: RepositoryRecord,
        push: Bool,
        commitLeftovers: Bool
    ) -> WorkspaceRequest {
        WorkspaceRequest(
            workspaceID: workspace.id,
            directory: workspace.directory,
            repositoryURL: repository.url,
            baseReference: workspace.baseReference ?? repository.defaultBranch,
            branch: workspace.branch,
            push: push,
            commitLeftovers: commitLeftovers
        )
    }

    static func validate(name: String) throws(BerthError) {
        let isPlain = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-_.".utf8.contains(byte)
        }
        guard (1...nameLimit).contains(name.utf8.count), isPlain, !name.hasPrefix("ws_"), !name.looksLikeOption,
            !name.hasPrefix(".")
        else {
            throw BerthError(
                .invalidValue,
                "'\(name.prefix(80))' is no name for a workspace",
                field: "name",
                remedy: "1 to 60 of a-z, 0-9, -, _ and ., beginning with a letter or digit"
            )
        }
    }

    /// Any name git may know a commit by, short of what it would read as an option or a range.
    private static func validate(reference: String) throws(BerthError) {
        let isPlain =
            !reference.isEmpty && reference.utf8.count <= 240 && !reference.looksLikeOption && !reference.hasMarkedSign
            && !reference.contains("..")
            && reference.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"~^:?*[\\".utf8.contains($0) }
        guard isPlain else {
            throw BerthError(
                .invalidValue,
                "'\(reference.prefix(120))' is no branch, tag or commit",
                field: "repository.base",
                remedy: "give a branch, a tag or a commit's full name"
            )
        }
    }
}
