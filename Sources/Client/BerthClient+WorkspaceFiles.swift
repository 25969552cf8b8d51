import API
import Base
import Domain
import EventLoop
import Transport
public import WorkspaceTypes

// Files of workspaces: bytes in pieces, both ways.
extension BerthClient {
    /// Hands over a file's bytes as they come.
    public func readFile(
        _ path: String,
        of workspace: String,
        from offset: Int64 = 0,
        length: Int64? = nil,
        _ take: ([UInt8]) async throws -> Void
    ) async throws {
        var query = [("path", path), ("offset", "\(offset)")]
        if let length { query.append(("length", "\(length)")) }
        let response = try await send(.fileRead, ["workspaceId": workspace], query)
        while let bytes = try await response.body.next() { try await take(bytes) }
    }

    /// Sends what `next` gives, to its nil, as the file's new content.
    /// - Parameter length: of all of it, where it is known.
    public func writeFile(
        _ path: String,
        of workspace: String,
        query: [(String, String)] = [],
        ifMatch: String? = nil,
        isNew: Bool = false,
        length: Int64? = nil,
        _ next: @escaping @Sendable () async throws -> [UInt8]?
    ) async throws -> FileEntry {
        var headers = HTTPHeaders()
        if let ifMatch { headers.set("if-match", "\"\(ifMatch)\"") }
        if isNew { headers.set("if-none-match", "*") }
        return try await put(.fileWrite, workspace, [("path", path)] + query, headers, length: length, next)
    }

    /// Hands over a tar archive as it comes.
    public func readTree(_ path: String, of workspace: String, _ take: ([UInt8]) async throws -> Void) async throws {
        let response = try await send(.treeDownload, ["workspaceId": workspace], [("path", path)])
        while let bytes = try await response.body.next() { try await take(bytes) }
    }

    /// Sends a tar archive, piece by piece.
    public func writeTree(
        _ path: String,
        of workspace: String,
        _ next: @escaping @Sendable () async throws -> [UInt8]?
    ) async throws -> FileTally {
        try await put(.treeUpload, workspace, [("path", path)], HTTPHeaders(), length: nil, next)
    }

    private func put<Answer: Decodable & Sendable>(
        _ route: RouteID,
        _ workspace: String,
        _ query: [(String, String)],
        _ headers: HTTPHeaders,
        length: Int64?,
        _ next: @escaping @Sendable () async throws -> [UInt8]?
    ) async throws -> Answer {
        let body = HTTPClientRequest.Body.stream(length: length.map { Int($0) }) { writer in
            while let bytes = try await next() { try await writer.write(bytes) }
        }
        let response = try await send(route, ["workspaceId": workspace], query, stream: body, headers: headers)
        return try JSONBody.decode(Answer.self, from: try await response.body.collect(upTo: 1 << 20))
    }

    /// Hands over changes below a directory until cancelled, or the server ends; the first list, empty, says that
    /// everything is watched.
    public func watchFiles(
        _ path: String,
        of workspace: String,
        _ take: ([FileChange]) throws -> Void
    ) async throws {
        let response = try await send(
            .fileWatch,
            ["workspaceId": workspace],
            [("path", path)],
            headers: ["accept": "text/event-stream"]
        )
        var parser = EventStreamParser()
        while let piece = try await response.body.next() {
            for event in try parser.feed(piece) {
                switch event.event {
                case "ready": try take([])
                case "change": try take(try JSONBody.decode([FileChange].self, from: Array(event.data.utf8)))
                default: break
                }
            }
        }
        throw BerthError(.unavailable, "the server ended the stream", isRetryable: true)
    }
}
