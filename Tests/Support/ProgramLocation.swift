internal import Glibc

/// Where the programs under test lie: `BERTH_BIN`, else beside the test bundle in the build directory.
public enum ProgramLocation {
    public static func path(_ name: String) -> String {
        if let directory = getenv("BERTH_BIN").map({ String(cString: $0) }), access("\(directory)/\(name)", X_OK) == 0 {
            return "\(directory)/\(name)"
        }
        for argument in CommandLine.arguments + [ownPath] {
            guard let slash = argument.lastIndex(of: "/") else { continue }
            let candidate = "\(argument[..<slash])/\(name)"
            if access(candidate, X_OK) == 0 { return candidate }
        }
        return name
    }

    /// A file that lies in `Tests/Support/Peers`.
    public static func peer(_ name: String, testFile: StaticString = #filePath) -> String {
        let path = "\(testFile)"
        guard let tests = path.range(of: "/Tests/") else { return name }
        return "\(path[..<tests.lowerBound])/Tests/Support/Peers/\(name)"
    }

    private static var ownPath: String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { readlink("/proc/self/exe", $0.baseAddress, $0.count) }
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
}

extension String {
    fileprivate func range(of needle: String) -> Range<String.Index>? { firstRange(of: needle) }
}
