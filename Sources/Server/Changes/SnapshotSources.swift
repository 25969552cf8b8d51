import API
import Base
import Database
import Domain
import Environments
import Executions
import Workers
import Workspaces

extension ServerCore {
    /// Every noun that a stream of changes can begin with the rows of.
    var snapshotSources: [SnapshotSource] {
        [environmentSource, executionSource, repositorySource, workerSource, workspaceSource]
    }

    private var environmentSource: SnapshotSource {
        SnapshotSource(kind: "environment", prefix: "env_", isAscending: true) {
            [environments] connection, organization, user, after, limit in
            try environments.list(
                organization,
                visibleTo: user,
                after: try after.map { try EnvironmentID($0) },
                limit: limit,
                in: connection
            ).map(SnapshotRow.init)
        } find: { [environments] connection, organization, user, id in
            guard let id = try? EnvironmentID(id) else { return nil }
            return try environments.find(id, organization: organization, visibleTo: user, in: connection).map(
                SnapshotRow.init
            )
        }
    }

    private var executionSource: SnapshotSource {
        SnapshotSource(kind: "execution", prefix: "exec_", isAscending: false) {
            [executions] connection, organization, user, after, limit in
            try executions.list(
                ExecutionFilter(),
                organization: organization,
                visibleTo: user,
                after: try after.map { try ExecutionID($0) },
                limit: limit,
                in: connection
            ).map(SnapshotRow.init)
        } find: { [executions] connection, organization, user, id in
            guard let id = try? ExecutionID(id) else { return nil }
            return try executions.find(id, organization: organization, visibleTo: user, in: connection).map(
                SnapshotRow.init
            )
        }
    }

    private var repositorySource: SnapshotSource {
        SnapshotSource(kind: "repository", prefix: "repo_", isAscending: true) {
            [workspaces] connection, organization, _, after, limit in
            try workspaces.repositories(
                organization,
                after: try after.map { try RepositoryID($0) },
                limit: limit,
                in: connection
            ).map(SnapshotRow.init)
        } find: { [workspaces] connection, organization, _, id in
            guard let id = try? RepositoryID(id) else { return nil }
            return try workspaces.findRepository(id, organization: organization, in: connection).map(SnapshotRow.init)
        }
    }

    private var workerSource: SnapshotSource {
        SnapshotSource(kind: "worker", prefix: "wrk_", isAscending: true) {
            [workers] connection, organization, user, after, limit in
            try workers.list(
                organization,
                visibleTo: user,
                after: try after.map { try WorkerID($0) },
                limit: limit,
                in: connection
            ).map(SnapshotRow.init)
        } find: { [workers] connection, organization, user, id in
            guard let id = try? WorkerID(id) else { return nil }
            return try workers.find(id, organization: organization, visibleTo: user, in: connection).map(
                SnapshotRow.init
            )
        }
    }

    private var workspaceSource: SnapshotSource {
        SnapshotSource(kind: "workspace", prefix: "ws_", isAscending: false) {
            [workspaces] connection, organization, user, after, limit in
            try workspaces.list(
                organization,
                visibleTo: user,
                after: try after.map { try WorkspaceID($0) },
                limit: limit,
                in: connection
            ).map(SnapshotRow.init)
        } find: { [workspaces] connection, organization, user, id in
            guard let id = try? WorkspaceID(id) else { return nil }
            return try workspaces.find(id, organization: organization, visibleTo: user, in: connection).map(
                SnapshotRow.init
            )
        }
    }
}

extension SnapshotRow {
    fileprivate init(_ record: EnvironmentRecord) {
        self.init(kind: "environment", subject: record.id.text, value: API.Environment(record))
    }

    fileprivate init(_ record: ExecutionRecord) {
        self.init(kind: "execution", subject: record.id.text, value: API.Execution(record))
    }

    fileprivate init(_ record: RepositoryRecord) {
        self.init(kind: "repository", subject: record.id.text, value: Repository(record))
    }

    fileprivate init(_ record: WorkerRecord) {
        self.init(kind: "worker", subject: record.id.text, value: WorkerStatus(record))
    }

    fileprivate init(_ record: WorkspaceRecord) {
        self.init(kind: "workspace", subject: record.id.text, value: Workspace(record))
    }
}
