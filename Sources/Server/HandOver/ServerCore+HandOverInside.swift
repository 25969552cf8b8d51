import API
import Base
import Domain
import Environments
import FoundationEssentials
import HandOvers
import Relay
import WorkerProtocol
import Workspaces

// What is done in the environment that a workspace is in, or is to be in.
extension ServerCore {
    private static let shortCall = Duration.seconds(60)
    private static let longCall = Duration.seconds(3600)

    /// The workspace's row, and the way into its environment, which is woken.
    private func inside(_ record: HandOverRecord) async throws -> (row: HandedRow, link: LinkChannels) {
        let row = try await handOvers.workspace(
            record.workspaceID,
            organization: record.organizationID,
            visibleTo: record.ownerID,
            removed: true
        )
        let environment = try await environments.get(
            row.environmentID,
            organization: record.organizationID,
            visibleTo: nil
        )
        return (row, try channels(of: try await reached(environment)))
    }

    private static func handed(_ record: HandOverRecord, _ row: HandedRow) -> HandedWorkspace {
        HandedWorkspace(
            handOverId: record.id,
            workspaceId: row.id,
            directory: row.directory,
            repositoryURL: row.repositoryURL
        )
    }

    func freeze(_ record: HandOverRecord) async throws {
        let (row, link) = try await inside(record)
        _ = try await link.call(
            HandOverFreeze(workspace: Self.handed(record, row), epoch: row.epoch),
            until: time.uptime + Self.shortCall
        )
    }

    func thaw(_ record: HandOverRecord) async throws {
        let (row, link) = try await inside(record)
        _ = try await link.call(HandOverThaw(workspaceId: row.id), until: time.uptime + Self.shortCall)
    }

    func tips(_ record: HandOverRecord) async throws -> [String] {
        let (row, link) = try await inside(record)
        return try await link.call(
            HandOverTips(workspace: Self.handed(record, row)),
            until: time.uptime + Self.shortCall
        )
    }

    /// Packs into the spool; the digest is in the row when it returns.
    /// - Parameter lacks: what the destination has told; nil where it asks by itself.
    func pack(_ record: HandOverRecord, known: [String], _ lacks: HandedLacks? = nil) async throws -> HandOverRecord {
        let (row, link) = try await inside(record)
        let packed = try await link.call(
            HandOverPack(
                workspace: Self.handed(record, row),
                known: known,
                includesIgnored: record.includesIgnored,
                ignoredLimit: record.ignoredLimit,
                limit: configuration.maximumUploadBytes
            ),
            until: time.uptime + Self.longCall
        )
        return try await handOvers.change(record.id) { record in
            record.archiveBytes = packed.bytes
            record.archiveDigest = packed.sha256
            record.summary = lacks.map { $0.told(beside: packed.summary) } ?? packed.summary.text
        }
    }

    func restore(_ record: HandOverRecord) async throws {
        guard let bytes = record.archiveBytes, let digest = record.archiveDigest else {
            throw BerthError(.conflict, "the workspace has not come yet", remedy: "send it again", isRetryable: true)
        }
        let (row, link) = try await inside(record)
        _ = try await link.call(
            HandOverRestore(workspace: Self.handed(record, row), bytes: bytes, sha256: digest),
            until: time.uptime + Self.longCall
        )
    }

    func settle(_ record: HandOverRecord) async throws {
        let (row, link) = try await inside(record)
        _ = try await link.call(
            HandOverSettle(workspace: Self.handed(record, row)),
            until: time.uptime + Self.longCall
        )
    }

    func discard(_ record: HandOverRecord) async throws {
        let (row, link) = try await inside(record)
        _ = try await link.call(
            HandOverDiscard(workspace: Self.handed(record, row)),
            until: time.uptime + Self.longCall
        )
    }

    func keepOrphan(_ record: HandOverRecord) async throws -> OrphanedVersion {
        let (row, link) = try await inside(record)
        return try await link.call(
            HandOverOrphan(
                workspace: Self.handed(record, row),
                branch: "berth/orphan/\(record.id.text.suffix(12))",
                epoch: row.epoch
            ),
            until: time.uptime + Self.longCall
        )
    }

    func offer(_ record: HandOverRecord) async throws -> WorkspaceOffer {
        let row = try await handOvers.workspace(
            record.workspaceID,
            organization: record.organizationID,
            visibleTo: record.ownerID
        )
        return WorkspaceOffer(
            workspaceId: row.id,
            epoch: record.epoch,
            name: row.name,
            directory: row.directory,
            repositoryUrl: row.repositoryURL,
            baseReference: row.baseReference,
            branch: row.branch,
            issueUrl: row.issueURL,
            pullRequestUrl: row.pullRequestURL,
            pullRequestNumber: row.pullRequestNumber,
            ratchetEnabled: row.ratchetEnabled,
            ratchetState: row.ratchetState,
            secretNames: try await handOvers.variableNames(of: row.id),
            details: row.details
        )
    }

    /// The row of a workspace that comes, in the environment that it had here, or the caller's personal one.
    func stage(
        _ id: HandOverID,
        _ offer: WorkspaceOffer,
        target: HandOverTarget?,
        peerName: String,
        peerLocation: WorkspaceLocation?,
        _ wish: HandOverWish
    ) async throws -> HandOverRecord {
        let twin = try await handOvers.twin(of: offer.workspaceId, wish)
        let environment = try await environments.personal(wish.organizationID, user: wish.ownerID)
        var repository: RepositoryID?
        if let url = offer.repositoryUrl {
            repository = try await workspaces.repository(url, organization: wish.organizationID, by: wish.ownerID).id
        }
        var new = NewHandedWorkspace(
            environmentID: environment.id,
            repositoryID: repository,
            location: handOvers.location,
            name: offer.name,
            directory: try Self.plain(offer.directory),
            baseReference: offer.baseReference,
            branch: offer.branch,
            issueURL: offer.issueUrl,
            pullRequestURL: offer.pullRequestUrl,
            pullRequestNumber: offer.pullRequestNumber,
            ratchetEnabled: offer.ratchetEnabled,
            ratchetState: offer.ratchetState,
            details: offer.details,
            variableNames: offer.secretNames
        )
        func begin() async throws -> HandOverRecord {
            try await handOvers.stage(
                id,
                from: offer.workspaceId,
                epoch: offer.epoch,
                into: twin,
                new: new,
                target: target,
                peerName: peerName,
                wish
            )
        }
        let record: HandOverRecord
        do {
            record = try await begin()
        } catch let error as BerthError where error.code == .conflict && twin == nil {
            // Another workspace here has that name; a conflict of another kind comes again.
            new.directory += "-\(id.text.suffix(6))"
            new.name += "-\(id.text.suffix(6))"
            record = try await begin()
        }
        guard record.machine.custody == .arriving else { return record }
        try await handOvers.adopt(record.id, new)
        return try await handOvers.change(record.id) { record in
            if let peerLocation { record.peerLocation = peerLocation }
        }
    }

    /// As ``CheckoutMaker/validate(_:)`` has it: one name, no path.
    private static func plain(_ name: String) throws(BerthError) -> String {
        let isPlain = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "._-".utf8.contains(byte)
        }
        guard isPlain, (1...128).contains(name.utf8.count), !name.hasPrefix("."), !name.looksLikeOption else {
            throw BerthError(.invalidPath, "'\(name.prefix(80))' is no name for a directory", field: "offer.directory")
        }
        return name
    }
}

extension HandedLacks {
    /// For people: what travels and what does not, as JSON.
    func told(beside packed: JSONValue?) -> String {
        var members: [String: JSONValue] = if case .object(let known)? = packed { known } else { [:] }
        members["missingVariables"] = .array(missingVariables.map { .string($0) })
        members["missingLogin"] = .bool(missingLogin)
        members["runsLeft"] = .integer(Int64(runsLeft))
        return JSONValue.object(members).text
    }
}
