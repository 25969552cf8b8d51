import API
import Accounts
import Base
import Database
import Domain
import Environments
import Executions
import HandOvers
import Jobs
import Onboarding
import Presence
import Replicas
import Transport
import Workers
import Workspaces

/// The services behind the API, and the one switch that hands a matched request to its handler.
struct ServerCore: Sendable {
    let configuration: Configuration
    let time: any TimeSource
    let ids: IDSource
    let startedAt: Uptime
    let log: Log
    let metrics: Metrics
    let database: any SQLDatabase
    let feed: Feed
    let accounts: Accounts
    let executions: ExecutionService
    let environments: EnvironmentService
    let jobs: JobService
    let providers: ProviderHouse
    let workspaces: WorkspaceService
    let presences: PresenceService
    let workers: WorkerService
    let replicas: ReplicaService
    let forward: ReplicaForward
    let hub: LateBinding<WorkerHub>
    let files: TaskFiles
    let bus: BusHouse
    let handOvers: HandOverService
    let handOverFiles: HandOverFiles
    let handOverDesk: HandOverDesk
    let sshDoors: SSHDoors
    let setups: SetupService
    let followers: ExecutionFollowers
    let changes: ChangeTails
    let draining = Draining()
    let sessions = OpenSessions()
    /// Bound once it exists; it needs the core for its handler.
    let http = LateBinding<HTTPServer>()

    func authenticate(_ token: Secret<String>) async throws -> Principal {
        try await accounts.principal(presenting: token)
    }

    func respond(_ context: RequestContext) async throws -> HTTPResponse {
        switch context.route.id {
        case .executionCreate: try await executionCreate(context)
        case .executionList: try await executionList(context)
        case .executionGet: try await executionGet(context)
        case .executionCancel: try await executionCancel(context)
        case .executionOutput: try await executionOutput(context)
        case .executionEvents: try await executionEvents(context)
        case .executionWait: try await executionWait(context)
        case .executionAttempts: try await executionAttempts(context)
        case .deadLetterList: try await deadLetterList(context)
        case .deadLetterGet: try await deadLetterGet(context)
        case .deadLetterRetry: try await deadLetterRetry(context)
        case .deadLetterDrop: try await deadLetterDrop(context)
        case .environmentCreate: try await environmentCreate(context)
        case .environmentList: try await environmentList(context)
        case .environmentGet: try await environmentGet(context)
        case .environmentWhy: try await environmentWhy(context)
        case .environmentActivity: try await atItsWorker(context, environmentActivity)
        case .environmentHealth: try await environmentHealth(context)
        case .environmentExtend: try await environmentExtend(context)
        case .snapshotCreate, .snapshotList, .snapshotGet, .snapshotRemove, .environmentFork, .environmentRestore:
            try await snapshotRoute(context)
        case .quotaGet: try await quotaGet(context)
        case .quotaSet: try await quotaSet(context)
        case .environmentStart, .environmentStop, .environmentPause, .environmentResume, .environmentRetry,
            .environmentDestroy:
            try await environmentVerb(context)
        case .environmentLog: try await environmentLog(context)
        case .environmentExecute: try await environmentExecute(context)
        case .environmentMine: try await environmentMine(context)
        case .environmentProvision: try await environmentProvision(context)
        case .environmentExecutions: try await environmentExecutions(context)
        case .environmentTransitions: try await environmentTransitions(context)
        case .environmentNetwork: try await environmentNetwork(context)
        case .flavourList: try flavourList(context)
        case .imageList: try Self.json(Page(items: try await providers.images()))
        case .imageImport: try await imageImport(context)
        case .imageRemove: try await imageRemove(context)
        case .adminOverview: try await adminOverview(context)
        case .adminDestroy: try await adminDestroy(context)
        case .vmExecuteStream: try await documentedStream(context)
        case .vmListRegions, .vmListFlavors, .vmGetMine, .vmGetLogs, .vmProvision, .vmStart, .vmStop, .vmDestroyMine,
            .vmExecute, .vmGetAll, .vmDestroy, .vmCreate, .cloudWorkspaceList, .cloudWorkspaceGet,
            .cloudWorkspaceCreate, .cloudWorkspacePause, .cloudWorkspaceResume, .cloudWorkspaceStop,
            .cloudWorkspaceDelete:
            try await documented(context)
        case .workspaceCreate, .workspaceUpdate, .workspaceRetry, .workspaceArchive, .workspaceUnarchive,
            .workspaceDelete, .workspaceVariables, .workspaceVariablesSet, .workspaceVariableRemove:
            try await workspaceVerb(context)
        case .workspaceSync, .workspaceConfiguration, .workspaceRun, .workspaceRunStart, .workspaceRunStop:
            try await atItsWorker(context, of: { try await housed($0).environment }, workspaceVerb)
        case .workspaceList: try await workspaceList(context)
        case .workspaceGet: try await workspaceGet(context)
        case .fileList, .fileStat, .fileRead, .fileWrite, .fileRemove, .fileMakeDirectory, .fileMove, .fileSearch,
            .fileWatch, .treeDownload, .treeUpload:
            try await atItsWorker(context, of: { try await housed($0).environment }, workspaceFiles)
        case .gitStatus, .gitDiff, .gitLog, .gitCommit, .gitBranchList, .gitBranchCreate, .gitSwitch, .gitPush,
            .gitPull:
            try await atItsWorker(context, of: { try await housed($0).environment }, workspaceGit)
        case .presenceJoin, .presenceList, .presenceHeartbeat, .presenceLeave: try await presence(context)
        case .cloudWorkspaceJoin, .cloudWorkspaceLeave, .cloudWorkspaceHeartbeat, .cloudWorkspaceGetSessions,
            .cloudWorkspaceGetActiveSessions:
            try await documentedPresence(context)
        case .processList, .processSignal: try await atItsWorker(context, processes)
        case .repositoryCreate: try await repositoryCreate(context)
        case .repositoryList: try await repositoryList(context)
        case .repositoryGet: try await repositoryGet(context)
        case .workerList: try await workerList(context)
        case .environmentTunnel: try await environmentTunnel(context)
        case .workerTunnel: try await workerTunnel(context)
        case .terminalCreate: try await atItsWorker(context, terminalCreate)
        case .terminalList: try await atItsWorker(context, terminalList)
        case .terminalGet: try await atItsWorker(context, terminalGet)
        case .terminalEnd, .terminalRemove: try await atItsWorker(context, terminalEnd)
        case .terminalRecording: try await atItsWorker(context, terminalRecording)
        case .terminalAttach: try await atItsWorker(context, terminalAttach)
        case .sshPrepare: try await atItsWorker(context, sshPrepare)
        case .sshConnect: try await atItsWorker(context, sshConnect)
        case .sshCredentials: try await sshCredentials(context)
        case .sshCredentialsEnd: try await sshCredentialsEnd(context)
        case .cloudWorkspaceGetSSHCredentials, .vmGetSSHCredentials: try await documentedSSHCredentials(context)
        case .agentSessionCreate, .agentSessionList, .agentSessionGet, .agentSessionSend, .agentSessionWithdraw,
            .agentSessionAnswer, .agentSessionInterrupt, .agentSessionChange, .agentSessionStop, .agentSessionRemove,
            .agentSessionEvents:
            try await atItsWorker(context, of: { try await housed($0).environment }, agentSession)
        case .setupGet: try await setupGet(context)
        case .setupBegin: try await setupBegin(context)
        case .setupCheck: try await setupCheck(context)
        case .handOverSend: try await handOverSend(context)
        case .handOverPull: try await handOverPull(context)
        case .handOverTake: try await handOverTake(context)
        case .handOverList: try await handOverList(context)
        case .handOverGet: try await handOverGet(context)
        case .handOverMessage: try await handOverMessage(context)
        case .handOverArchive: try await handOverArchive(context)
        case .handOverDeliver: try await handOverDeliver(context)
        case .workerHandOver: try await handOverFiles.fetch(context.request, context.parameter("handOverId"))
        case .workerHandOverPut: try await handOverFiles.take(context.request, context.parameter("handOverId"))
        case .workerVariables:
            try await WorkerVariables(workspaces: workspaces, tokens: handOverFiles.tokens)
                .fetch(context.request, context.parameter("workspaceId"))
        case .workerConnect: try await workerConnect(context)
        case .uploadCreate: try await uploadCreate(context)
        case .executionBundle: try await executionBundle(context)
        case .workerUpload: try await files.fetch(context.request, upload: context.parameter("uploadId"))
        case .workerBundle: try await files.take(context.request, execution: context.parameter("executionId"))
        case .keyCreate: try await keyCreate(context)
        case .keyList: try await keyList(context)
        case .keyRevoke: try await keyRevoke(context)
        case .whoAmI: try whoAmI(context)
        case .changeList: try await changeList(context)
        case .jobList: try await jobList(context)
        case .jobGet: try await jobGet(context)
        case .jobRetry: try await jobRetry(context)
        case .serverList: try await serverList()
        case .busTopics: try await busTopics(context)
        case .busGroups: try await busGroups(context)
        case .busMessages: try await busMessages(context)
        case .busPublish: try await busPublish(context)
        case .health, .compatibilityHealth: try Self.json(Health(status: "ok"))
        case .ready: try await ready()
        case .metrics: await metricsText()
        case .version: try version()
        case .openAPI: try Self.openAPI()
        case .compatibilityExecute: try await compatibilityExecute(context)
        case .compatibilityGet: try await compatibilityGet(context)
        case .compatibilityCancel: try await compatibilityCancel(context)
        case .compatibilityStatus: try await compatibilityStatus(context)
        }
    }
}
