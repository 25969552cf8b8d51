public import API
public import Base
public import Domain
import Glibc
import OpenSSL
import Transport

// Files that go with an execution: repositories in, new commits out.
extension BerthClient {
    /// Sends an open file for an execution to come, from its first byte, in pieces.
    /// - Parameter bytes: its length.
    public func upload(_ file: CInt, bytes: Int64) async throws -> Upload {
        let response = try await send(.uploadCreate, [:], [], stream: Self.pieces(of: file, bytes: bytes))
        return try JSONBody.decode(Upload.self, from: try await response.body.collect(upTo: 1 << 20))
    }

    /// Sends an open archive of a root file system, from its first byte, in pieces.
    /// - Parameter bytes: its length.
    public func importImage(_ file: CInt, bytes: Int64, as name: String, of provider: ProviderKind) async throws
        -> Image
    {
        let query = [("name", name), ("provider", provider.rawValue)]
        let response = try await send(.imageImport, [:], query, stream: Self.pieces(of: file, bytes: bytes))
        return try JSONBody.decode(Image.self, from: try await response.body.collect(upTo: 1 << 20))
    }

    private static func pieces(of file: CInt, bytes: Int64) -> HTTPClientRequest.Body {
        .stream(length: Int(bytes)) { writer in
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            var offset = 0
            while case let count = pread(file, &buffer, buffer.count, offset), count > 0 {
                try await writer.write(Array(buffer[..<count]))
                offset += count
            }
        }
    }

    /// Writes an execution's new commits to `path`, whole and with the digest of `mark`.
    public func bundle(of id: ExecutionID, _ mark: BundleMark, to path: String) async throws {
        let response = try await send(.executionBundle, ["executionId": id.text], [])
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Self.failure("cannot be written", path) }
        defer { Glibc.close(file) }
        var digest = SHA256()
        while let chunk = try await response.body.next() {
            digest.update(chunk)
            var sent = 0
            while sent < chunk.count {
                let count = chunk[sent...].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw Self.failure("cannot be written", path) }
                sent += count
            }
        }
        guard Hex.encode(digest.digest) == mark.sha256 else {
            throw BerthError(.network, "the commits did not come whole", remedy: "fetch them again", isRetryable: true)
        }
    }

    private static func failure(_ what: String, _ path: String) -> BerthError {
        BerthError(errno == ENOSPC ? .diskFull : .unavailable, "\(path) \(what)", detail: "errno \(errno)")
    }
}
