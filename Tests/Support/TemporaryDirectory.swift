import FoundationEssentials
import Glibc

/// A directory of a test's own, removed with everything in it when the test lets go of it.
public final class TemporaryDirectory: Sendable {
    public let path: String

    public init(_ name: String = "test") throws {
        var template = Array("\(FileManager.default.temporaryDirectory.path)/berth-\(name)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemFailure("mkdtemp", errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    /// Removes `path` with everything in it. What was killed a moment ago may still write there.
    public static func remove(_ path: String) {
        for _ in 0..<2000 {
            try? FileManager.default.removeItem(atPath: path)
            guard access(path, F_OK) == 0 else { return }
            sched_yield()
        }
    }

    public func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes `text` to a file below, making directories as needed; returns the file's path.
    @discardableResult
    public func write(_ text: String, to name: String) throws -> String {
        let path = file(name)
        if let slash = path.lastIndex(of: "/") {
            try FileManager.default.createDirectory(
                atPath: String(path[..<slash]),
                withIntermediateDirectories: true
            )
        }
        try Data(text.utf8).write(to: URL(filePath: path))
        return path
    }
}

/// Runs `body` with a directory that is gone afterwards.
@discardableResult
public func withTemporaryDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let directory = try TemporaryDirectory()
    defer { withExtendedLifetime(directory) {} }
    return try await body(directory.path)
}

public struct SystemFailure: Error, CustomStringConvertible {
    public var description: String

    public init(_ call: String, _ number: Int32) {
        description = "\(call): \(String(cString: strerror(number)))"
    }
}
