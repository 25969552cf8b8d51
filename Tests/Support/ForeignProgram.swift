import Glibc

/// A program of `Tests/Support/Peers` that speaks for a library not written here, with that library in reach. It ends
/// with this object.
public final class ForeignProgram: Sendable {
    public enum Library: String, Sendable, CaseIterable, CustomStringConvertible {
        /// The `websockets` package of PyPI.
        case websockets
        /// The `ws` package of Node.
        case ws

        public var description: String { rawValue }

        private var interpreter: String { self == .ws ? "node" : "python3" }
        private var suffix: String { self == .ws ? "js" : "py" }

        fileprivate func command(_ name: String) -> [String] {
            [interpreter, ScriptedPeer.path("\(name).\(suffix)")]
        }

        fileprivate var environment: [String: String] {
            ChildProcess.plainEnvironment.merging([
                "NODE_PATH": BerthCache.directory + "/node/usr/share/nodejs",
                "PYTHONPATH": BerthCache.directory + "/python/websockets",
            ]) { $1 }
        }
    }

    public let process: ChildProcess

    public init(_ library: Library, _ name: String, _ arguments: [String] = []) throws {
        process = try ChildProcess(library.command(name) + arguments, environment: library.environment)
    }
}

/// Chromium without a window, on a page. It and what it started end with this object.
public final class HeadlessBrowser: Sendable {
    private let process: ChildProcess
    private let profile: TemporaryDirectory

    public init(_ url: String) throws {
        profile = try TemporaryDirectory("browser")
        process = try ChildProcess(
            [
                "chromium", "--headless", "--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-breakpad", "--disable-extensions", "--disable-background-networking", "--no-first-run",
                "--user-data-dir=\(profile.path)", url,
            ],
            environment: ChildProcess.plainEnvironment.merging(["HOME": profile.path]) { $1 }
        )
    }

    /// What it wrote to its error stream, for a test that waits in vain.
    public var complaints: String { String(decoding: process.standardError.suffix(4000), as: UTF8.self) }

    /// Ends it and waits until it is gone.
    public func quit() async throws {
        process.signal(SIGTERM)
        _ = try await process.exit(within: .seconds(20))
    }
}
