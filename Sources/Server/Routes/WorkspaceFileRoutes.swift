import API
import Base
import Domain
import Relay
import Transport
import WorkerProtocol
import WorkspaceCalls
import WorkspaceTypes
import Workspaces

/// `/v1/workspaces/{workspaceId}/files`. The server looks into no file: bytes go through it in pieces.
extension ServerCore {
    private static let callTime = Duration.seconds(60)

    func workspaceFiles(_ context: RequestContext) async throws -> HTTPResponse {
        let housed = try await housed(context)
        let path = context.text("path") ?? ""
        switch context.route.id {
        case .fileList:
            let depth = Int(try context.integer("depth", default: 1))
            let limit = Int(try context.integer("limit", default: 5000))
            return try await answer(housed, .list(path: path, depth: depth, limit: limit), FileListing.self)
        case .fileStat: return try await answer(housed, .stat(path: path), FileEntry.self)
        case .fileRead: return try await read(housed, path, context)
        case .fileWrite: return try await write(housed, path, context)
        case .fileRemove:
            try Self.require(path)
            return try await answer(
                housed,
                .remove(path: path, isRecursive: context.flag("recursive")),
                FileTally.self
            )
        case .fileMakeDirectory:
            let body: MakeDirectory = try await context.body(limit: configuration.maximumBodyBytes)
            return try await answer(
                housed,
                .makeDirectory(path: body.path, makesParents: body.parents ?? false),
                FileEntry.self
            )
        case .fileMove:
            let body: MoveFile = try await context.body(limit: configuration.maximumBodyBytes)
            return try await answer(
                housed,
                .move(from: body.from, to: body.to, replaces: body.replace ?? false),
                FileEntry.self
            )
        case .fileSearch: return try await search(housed, path, context)
        case .fileWatch: return try await watch(housed, path, context)
        case .treeDownload: return try await download(housed, path)
        case .treeUpload:
            let exchange = try await exchange(housed, .upload(path: path))
            return try Self.json(try await sendBody(context, to: exchange, FileTally.self))
        default: throw BerthError(.internal, "\(context.route.id.rawValue) is no route of files")
        }
    }

    private func exchange(_ housed: HousedWorkspace, _ action: FileAction) async throws -> BulkExchange {
        let request = FileRequest(directory: housed.workspace.directory, action: action)
        let link = try await channels(of: housed)
        return BulkExchange(try await link.stream(request, until: time.uptime + Self.callTime))
    }

    private func answer<Answer: Codable>(_ housed: HousedWorkspace, _ action: FileAction, _: Answer.Type) async throws
        -> HTTPResponse
    {
        let exchange = try await exchange(housed, action)
        let answer: Answer = try await exchange.end(until: time.uptime + Self.callTime)
        var response = try Self.json(answer)
        if let tag = (answer as? FileEntry)?.etag { response.headers.set("etag", "\"\(tag)\"") }
        return response
    }

    private static func require(_ path: String) throws(BerthError) {
        guard !path.isEmpty else {
            throw BerthError(.missingField, "the path is missing", field: "path", remedy: "add ?path=…")
        }
    }

    // MARK: Content

    private func read(_ housed: HousedWorkspace, _ path: String, _ context: RequestContext) async throws -> HTTPResponse
    {
        try Self.require(path)
        let offset = try context.integer("offset", default: 0)
        let wanted = try context.integer("length", default: .max)
        let exchange = try await exchange(housed, .read(path: path, offset: offset, length: wanted))
        let entry: FileEntry = try await exchange.item(until: time.uptime + Self.callTime)
        let length = max(0, min(entry.size - offset, wanted))
        var headers: HTTPHeaders = ["content-type": "application/octet-stream"]
        let isWhole = length == entry.size
        if isWhole, let etag = entry.etag { headers.add("etag", "\"\(etag)\"") }
        return HTTPResponse(
            headers: headers,
            body: .stream(length: Int(length)) { writer in
                // Cut short on an error: the client has been told of the length.
                while case .data(let bytes) = try await exchange.next() { try await writer.write(Array(bytes)) }
            }
        )
    }

    private func write(_ housed: HousedWorkspace, _ path: String, _ context: RequestContext) async throws
        -> HTTPResponse
    {
        try Self.require(path)
        var mode: Int?
        if let text = context.text("mode") {
            guard let number = Int(text, radix: 8), (0...0o777).contains(number) else {
                throw BerthError(.invalidValue, "'\(text.prefix(40))' is no mode", field: "mode", remedy: "such as 644")
            }
            mode = number
        }
        let exchange = try await exchange(
            housed,
            .write(
                path: path,
                ifMatch: context.request.headers["if-match"].map(Self.tag),
                isNew: context.request.headers["if-none-match"] == "*",
                mode: mode,
                makesParents: context.flag("parents")
            )
        )
        let entry: FileEntry = try await sendBody(context, to: exchange)
        var response = try Self.json(entry)
        if let tag = entry.etag { response.headers.set("etag", "\"\(tag)\"") }
        return response
    }

    private static func tag(_ field: String) -> String {
        field.hasPrefix("\"") && field.hasSuffix("\"") && field.count > 1 ? String(field.dropFirst().dropLast()) : field
    }

    /// Sends the request's body in the pieces that it comes in, and returns what came of it.
    private func sendBody<Answer: Decodable & Sendable>(
        _ context: RequestContext,
        to exchange: BulkExchange,
        _: Answer.Type = Answer.self
    ) async throws -> Answer {
        let body = context.request.body
        do {
            while let bytes = try await body.next() { try await exchange.send(bytes) }
            try await exchange.sendEnd()
        } catch let error as BerthError where error.code == .network {
            // A full disk, a condition that does not hold: it says why, and reads no more.
            let deadline = time.uptime + .seconds(2)
            return try await exchange.end(until: deadline)
        }
        return try await exchange.end()
    }

    private func download(_ housed: HousedWorkspace, _ path: String) async throws -> HTTPResponse {
        let exchange = try await exchange(housed, .download(path: path))
        let entry: FileEntry = try await exchange.item(until: time.uptime + Self.callTime)
        let last = entry.path.split(separator: "/").last.map(String.init) ?? housed.workspace.name
        return HTTPResponse(
            headers: [
                "content-type": "application/x-tar", "cache-control": "no-store",
                "content-disposition": "attachment; filename*=UTF-8''\(PercentEncoding.encode(last)).tar",
                "berth-file-kind": entry.kind.rawValue,
            ],
            body: .stream(length: nil) { writer in
                while case .data(let bytes) = try await exchange.next() { try await writer.write(Array(bytes)) }
            }
        )
    }

    // MARK: Search and changes

    private func search(_ housed: HousedWorkspace, _ path: String, _ context: RequestContext) async throws
        -> HTTPResponse
    {
        let search = FileSearch(
            path: path,
            name: context.text("name"),
            text: context.text("text"),
            isPattern: context.flag("pattern"),
            ignoresCase: context.flag("ignoreCase"),
            includesIgnored: context.flag("ignored"),
            limit: Int(try context.integer("limit", default: 500))
        )
        guard search.name != nil || search.text != nil else {
            throw BerthError(
                .missingField,
                "there is nothing to search for",
                field: "text",
                remedy: "give name, text or both"
            )
        }
        return try await answer(housed, .find(search), FileMatches.self)
    }

    private func watch(_ housed: HousedWorkspace, _ path: String, _ context: RequestContext) async throws
        -> HTTPResponse
    {
        let key = try context.principal.keyID
        let exchange = try await exchange(housed, .watch(path: path))
        let _: [FileChange] = try await exchange.item(until: time.uptime + Self.callTime)
        return HTTPResponse(
            headers: ["cache-control": "no-store"],
            body: .events { [sessions, metrics, draining] writer in
                sessions.add(writer, key: key)
                metrics.add(.eventStreams, 1)
                defer { metrics.add(.eventStreams, -1) }
                try await writer.send(event: "ready", data: "{}")
                while true {
                    try await draining.wait { try await exchange.prepare() }
                    let changes: [FileChange] = try await exchange.item()
                    let data = String(decoding: try JSONBody.encode(changes), as: UTF8.self)
                    try await writer.send(event: "change", data: data)
                }
            }
        )
    }
}
