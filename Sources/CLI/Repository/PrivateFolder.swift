import Base
import Glibc

/// A directory of this command alone, for files on their way.
enum PrivateFolder {
    static func with<Value>(_ environment: [String: String], _ body: (String) async throws -> Value) async throws
        -> Value
    {
        let root = environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
        var template = Array("\(root)/berth-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw BerthError(
                .unavailable,
                "no temporary directory can be made in \(root)",
                remedy: "name another one with TMPDIR",
                detail: "errno \(errno)"
            )
        }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in names { unlink("\(path)/\(name)") }
            rmdir(path)
        }
        return try await body(path)
    }

    /// Everything that is ever put there.
    static let names = ["bundle", "bundle.lock"]
}
