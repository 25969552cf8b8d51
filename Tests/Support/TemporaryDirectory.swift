import FoundationEssentials
import Glibc

/// A directory of its own for one test, removed with everything in it at the end.
@discardableResult
public func withTemporaryDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    var template = Array("/tmp/berth-test-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw TestEnvironmentError.call("mkdtemp", errno) }
    let path = String(cString: made)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}

public enum TestEnvironmentError: Error {
    case call(String, Int32)
}
