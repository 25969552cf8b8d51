import FoundationEssentials
import TestSupport

/// A run whose output tells whether it is whole.
enum CountedRun {
    /// For Python: numbered lines for about four seconds, then their digest on standard error.
    static let script = """
        import hashlib, sys, time
        digest = hashlib.sha256()
        for number in range(4000):
            line = ('%06d ' % number + 'x' * 200 + '\\n').encode()
            digest.update(line)
            sys.stdout.buffer.write(line)
            if number % 10 == 0:
                sys.stdout.buffer.flush()
                time.sleep(0.01)
        sys.stdout.buffer.flush()
        sys.stderr.write(digest.hexdigest())
        """

    static func digest(of bytes: [UInt8]) async throws -> String {
        let folder = try TemporaryDirectory("digest")
        try Data(bytes).write(to: URL(filePath: folder.file("bytes")))
        return String(try await check(["sha256sum", folder.file("bytes")]).prefix(64))
    }
}
