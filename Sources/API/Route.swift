/// HTTP methods that the API uses.
public enum Method: String, Sendable, CaseIterable {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
}

/// Who may call a route. The server maps it to the permissions of roles.
public enum Access: String, Sendable, CaseIterable {
    /// Anyone: health, version, the API's own description.
    case open
    /// A worker with its own token.
    case worker
    case read
    case run
    case manageEnvironments
    case manageKeys
    case manageOrganization
}

/// What a route answers with.
public enum Answer: Sendable {
    case json(Schema, status: Int = 200)
    case text(mediaType: String)
    case bytes
    case serverSentEvents
    case webSocket

    /// Whether HEAD may ask for its head alone (RFC 9110, section 9.3.2).
    var hasHead: Bool {
        switch self {
        case .json, .text, .bytes, .serverSentEvents: true
        case .webSocket: false
        }
    }
}

/// One operation of the API. The router, the OpenAPI document and the authorization tests are made from these alone.
public struct Route: Sendable {
    public var id: RouteID
    public var method: Method
    /// With parameters in braces: `/v1/executions/{executionId}`.
    public var path: String
    public var access: Access
    public var summary: String
    public var query: [Parameter]
    public var body: Schema?
    /// Whether the body is a file, read as it comes.
    public var takesBytes: Bool
    public var answer: Answer
    /// What it answers with where the request asks for that.
    public var otherAnswers: [Answer]
    /// Whether a call is kept in the audit trail.
    public var isAudited: Bool

    public struct Parameter: Sendable {
        public var name: String
        public var schema: Schema
        public var about: String

        public init(_ name: String, _ schema: Schema, _ about: String) {
            self.name = name
            self.schema = schema
            self.about = about
        }
    }

    init(
        _ id: RouteID,
        _ method: Method,
        _ path: String,
        _ access: Access,
        _ summary: String,
        query: [Parameter] = [],
        body: Schema? = nil,
        takesBytes: Bool = false,
        answer: Answer,
        otherAnswers: [Answer] = [],
        isAudited: Bool = false
    ) {
        self.id = id
        self.method = method
        self.path = path
        self.access = access
        self.summary = summary
        self.query = query
        self.body = body
        self.takesBytes = takesBytes
        self.answer = answer
        self.otherAnswers = otherAnswers
        self.isAudited = isAudited
    }

    /// Names in braces, in order.
    public var parameters: [String] { segments.compactMap(\.parameter) }

    public var segments: [Segment] {
        path.split(separator: "/").map { text in
            text.hasPrefix("{") && text.hasSuffix("}")
                ? .parameter(String(text.dropFirst().dropLast())) : .literal(String(text))
        }
    }

    public enum Segment: Sendable, Equatable {
        case literal(String)
        case parameter(String)

        var parameter: String? { if case .parameter(let name) = self { name } else { nil } }
    }
}

/// Operation names; the raw value is the OpenAPI `operationId`. The server switches over all of them.
public enum RouteID: String, Sendable, CaseIterable {
    case executionCreate, executionList, executionGet, executionCancel, executionOutput, executionEvents, executionWait
    case executionAttempts, deadLetterList, deadLetterGet, deadLetterRetry, deadLetterDrop
    case environmentCreate, environmentList, environmentGet, environmentWhy, environmentStart, environmentStop
    case environmentPause, environmentResume, environmentRetry, environmentDestroy
    case environmentLog, environmentExecute, environmentMine, environmentProvision, environmentExecutions
    case environmentTransitions, environmentNetwork, flavourList, imageList, imageImport, imageRemove, adminOverview,
        adminDestroy
    case vmListRegions, vmListFlavors, vmGetMine, vmGetLogs, vmProvision, vmStart, vmStop, vmDestroyMine, vmExecute
    case vmExecuteStream, vmGetAll, vmDestroy, vmCreate
    case cloudWorkspaceList, cloudWorkspaceGet, cloudWorkspaceCreate, cloudWorkspacePause, cloudWorkspaceResume
    case cloudWorkspaceStop, cloudWorkspaceDelete
    case environmentActivity, environmentHealth, environmentExtend, quotaGet, quotaSet
    case snapshotCreate, snapshotList, snapshotGet, snapshotRemove, environmentFork, environmentRestore
    case workspaceCreate, workspaceUpdate, workspaceRetry, workspaceArchive, workspaceUnarchive, workspaceDelete
    case workspaceVariables, workspaceVariablesSet, workspaceVariableRemove, workspaceSync, workspaceConfiguration
    case workspaceRunStart, workspaceRunStop, workspaceRun
    case workspaceList, workspaceGet, repositoryCreate, repositoryList, repositoryGet
    case uploadCreate, executionBundle, workerUpload, workerBundle
    case environmentTunnel, workerTunnel
    case terminalCreate, terminalList, terminalGet, terminalEnd, terminalRemove, terminalAttach
    case sshPrepare, sshConnect, sshCredentials, sshCredentialsEnd
    case cloudWorkspaceGetSSHCredentials, vmGetSSHCredentials
    case agentSessionCreate, agentSessionList, agentSessionGet, agentSessionSend, agentSessionWithdraw
    case agentSessionAnswer, agentSessionInterrupt, agentSessionChange, agentSessionStop, agentSessionRemove
    case agentSessionEvents
    case fileList, fileStat, fileRead, fileWrite, fileRemove, fileMakeDirectory, fileMove, fileSearch, fileWatch
    case treeDownload, treeUpload
    case gitStatus, gitDiff, gitLog, gitCommit, gitBranchList, gitBranchCreate, gitSwitch, gitPush, gitPull
    case processList, processSignal
    case terminalRecording
    case presenceJoin, presenceList, presenceHeartbeat, presenceLeave
    case cloudWorkspaceJoin, cloudWorkspaceLeave, cloudWorkspaceHeartbeat, cloudWorkspaceGetSessions
    case cloudWorkspaceGetActiveSessions
    case handOverSend, handOverPull, handOverTake, handOverList, handOverGet, handOverMessage, handOverArchive
    case handOverDeliver, workerHandOver, workerHandOverPut, workerVariables
    case setupGet, setupBegin, setupCheck
    case workerList, workerConnect, keyCreate, keyList, keyRevoke, whoAmI, changeList
    case jobList, jobGet, jobRetry
    case serverList
    case busTopics, busGroups, busMessages, busPublish
    case health, ready, metrics, version, openAPI
    case compatibilityExecute, compatibilityGet, compatibilityCancel, compatibilityHealth, compatibilityStatus
}
