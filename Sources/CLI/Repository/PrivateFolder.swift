import Base
import FoundationEssentials
import Glibc

/// Room of this command alone, for files on their way.
enum PrivateFolder {
    /// A file without a name, gone with this process however that ends. Its descriptor is closed after `body`.
    static func withFile<Value>(_ environment: [String: String], _ body: (CInt) async throws -> Value) async throws
        -> Value
    {
        let root = root(environment)
        var template = Array("\(root)/berth-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { throw failure(root) }
        _ = fcntl(file, F_SETFD, FD_CLOEXEC)
        unlink(template)
        defer { close(file) }
        return try await body(file)
    }

    static func with<Value>(_ environment: [String: String], _ body: (String) async throws -> Value) async throws
        -> Value
    {
        let path = try make(environment)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try await body(path)
    }

    /// An empty directory that the caller removes.
    static func make(_ environment: [String: String]) throws(BerthError) -> String {
        let root = root(environment)
        var template = Array("\(root)/berth-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw failure(root) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func root(_ environment: [String: String]) -> String {
        environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
    }

    private static func failure(_ root: String) -> BerthError {
        BerthError(
            .unavailable,
            "nothing can be written in \(root)",
            remedy: "name another directory with TMPDIR",
            detail: "errno \(errno)"
        )
    }
}
