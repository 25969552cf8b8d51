import API
import Base
import Domain
import Transport
import Uploads

/// `/v1/uploads`, bundles of executions, and what a request says of its repository.
extension ServerCore {
    func uploadCreate(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await files.upload(context.request.body, by: try context.principal)
        let upload = Upload(
            id: record.id,
            bytes: record.bytes,
            sha256: record.sha256,
            expiresAt: record.expiresAt
        )
        return try Self.json(upload, status: 201)
    }

    func executionBundle(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await executions.get(try context.id("executionId"), by: try context.principal)
        return try await files.bundle(of: record)
    }

    /// Checks how the repository is to be reached, before anything is made for it.
    /// - Parameter isRepeatable: a repeated request names the upload that its first one has taken.
    /// - Returns: the upload that holds it; nil for a remote one, and for an empty one.
    /// - Parameter isAdopted: the upload is the caller's own clone of a repository that has a remote.
    func upload(
        of request: CreateExecution,
        isRepeatable: Bool,
        by principal: Principal,
        isAdopted: Bool = false
    ) async throws -> UploadRecord? {
        if let key = request.ssh?.privateKey { try SSHPrivateKey.validate(key, field: "ssh.privateKey") }
        guard let checkout = request.repository else { return nil }
        let url = try RepositoryURL(checkout.url, field: "repository.url")
        if let branch = checkout.branch { _ = try BranchName(branch, field: "repository.branch") }
        if request.ssh != nil, !url.isSSH {
            throw BerthError(
                .invalidValue,
                "\(url) is not reached by ssh",
                field: "ssh",
                remedy: "leave it out, or give the repository as ssh://user@host/path or user@host:path"
            )
        }
        guard url.isLocal || isAdopted else {
            guard checkout.upload == nil else {
                throw BerthError(
                    .invalidValue,
                    "\(url) is cloned by the environment itself",
                    field: "repository.upload",
                    remedy: "leave the upload out, or name the repository local:NAME"
                )
            }
            return nil
        }
        if checkout.push == true {
            throw BerthError(
                .unsupported,
                "a local repository takes no push: its branch comes back as a bundle",
                field: "repository.push",
                remedy: "leave it out; fetch the branch with 'berth fetch EXECUTION'"
            )
        }
        guard let id = checkout.upload else { return nil }
        let record = try await files.uploads.get(id, organization: principal.organizationID, owner: principal.userID)
        if let taken = record.executionID, !isRepeatable {
            throw BerthError(
                .conflict,
                "upload \(id) belongs to \(taken)",
                field: "repository.upload",
                remedy: "upload the repository again for each execution"
            )
        }
        return record
    }
}
