import Base
import Domain
import Executions
import Transport
import Uploads
import WorkerProtocol
import Workers

/// Files that come with an execution and out of it: repositories of callers' machines, and bundles of new commits.
struct TaskFiles: Sendable {
    let uploads: UploadService
    let executions: ExecutionService
    let tokens: WorkerTokens
    /// By upload id.
    let incoming: any FileStoring
    /// By execution and attempt.
    let bundles: any FileStoring
    let ids: IDSource
    let time: any TimeSource
    let log: Log

    /// Takes a body in for an execution to come.
    func upload(_ body: IncomingBody, by principal: Principal) async throws -> UploadRecord {
        let id: UploadID = ids.make()
        let received = try await incoming.receive(body, as: id.text, unique: "new", expecting: nil)
        guard received.bytes > 0 else {
            try await incoming.remove(id.text)
            throw BerthError(.invalidRequest, "the body is empty", remedy: "send the bytes of a git bundle")
        }
        do {
            return try await uploads.add(
                id,
                bytes: received.bytes,
                sha256: received.sha256,
                organization: principal.organizationID,
                by: principal.userID
            )
        } catch {
            try? await incoming.remove(id.text)
            throw error
        }
    }

    /// The new commits of an execution that the caller may see.
    func bundle(of record: ExecutionRecord) async throws -> HTTPResponse {
        let mark = record.report?.workspace?.bundle
        let name = Self.name(AttemptKey(record.id, record.attempt))
        guard let mark, var response = try await bundles.response(name, sha256: mark.sha256) else {
            throw BerthError(
                .notFound,
                record.state.isTerminal
                    ? "\(record.id) made no new commits" : "\(record.id) has not ended yet",
                remedy: record.state.isTerminal ? nil : "wait for its end: berth logs -f \(record.id)"
            )
        }
        // A branch may have any character that git allows; a header field may not.
        response.headers.set("berth-branch", PercentEncoding.encode(mark.branch))
        response.headers.set("berth-sha256", mark.sha256)
        return response
    }

    // MARK: - For workers

    func fetch(_ request: HTTPRequest, upload: String) async throws -> HTTPResponse {
        let identity = try await identity(request)
        let id = try Self.known(upload, UploadKind.self)
        let record = try await uploads.get(id, organization: identity.organizationID, owner: identity.ownerID)
        guard let response = try await incoming.response(record.id.text, sha256: record.sha256) else {
            throw BerthError(.notFound, "the bytes of upload \(id) are gone", remedy: "upload it again")
        }
        return response
    }

    func take(_ request: HTTPRequest, execution: String) async throws -> HTTPResponse {
        let identity = try await identity(request)
        let id = try Self.known(execution, ExecutionKind.self)
        guard let attempt = request.queryValue("attempt").flatMap({ Int($0) }),
            let digest = request.queryValue("sha256"), digest.utf8.count == 64
        else { throw BerthError(.missingField, "the attempt or the digest is missing", field: "attempt") }
        let key = AttemptKey(id, attempt)
        var worker: WorkerID?
        if case .environment(let own, _, _) = identity.place { worker = own }
        try await executions.admitFile(key, worker: worker, organization: identity.organizationID)
        let unique = ids.make(RequestKind.self).text
        _ = try await bundles.receive(request.body, as: Self.name(key), unique: unique, expecting: digest)
        return HTTPResponse(status: 204)
    }

    private func identity(_ request: HTTPRequest) async throws -> WorkerIdentity {
        guard let token = FrontDoor.bearer(request) else {
            throw BerthError(.unauthenticated, "a worker needs its token", remedy: "send 'Authorization: Bearer TOKEN'")
        }
        return try await tokens.authenticate(token: token)
    }

    private static func known<Kind: IdentifierKind>(_ text: String, _: Kind.Type) throws(BerthError)
        -> Identifier<Kind>
    {
        do {
            return try Identifier<Kind>(text)
        } catch {
            throw BerthError(.notFound, "there is no '\(text.prefix(80))'", remedy: error.remedy)
        }
    }

    private static func name(_ key: AttemptKey) -> String { "\(key.executionID).\(key.attempt).bundle" }

    // MARK: - Keeping house

    /// Removes uploads that have served or that nobody took, until cancelled.
    func run() async throws {
        _ = try await bundles.sweep(at: time.now)
        for name in try await incoming.sweep(at: time.now) {
            guard let id = try? UploadID(name), try await uploads.exists(id) else {
                try await incoming.remove(name)
                continue
            }
        }
        while true {
            do {
                for record in try await uploads.overdue() {
                    try await incoming.remove(record.id.text)
                    try await uploads.remove(record.id, organization: record.organizationID)
                }
            } catch {
                try Task.checkCancellation()
                log.error("uploads not swept", ["error": "\(error)"])
            }
            incoming.tidy(at: time.now)
            bundles.tidy(at: time.now)
            try await time.wait(for: .seconds(60))
        }
    }
}
