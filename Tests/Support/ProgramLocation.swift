public import Base
internal import Glibc

/// Where the programs under test lie: `BERTH_BIN`, else the build directory that holds the test bundle.
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

    /// A program as it ships, fully static, so that it runs in any root: from `BERTH_BIN`, else from `out/bin`, where
    /// `make build` puts it.
    public static func shipped(_ name: String) throws(BerthError) -> String {
        let package = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let directory = getenv("BERTH_BIN").map { String(cString: $0) } ?? "/\(package)/out/bin"
        guard access("\(directory)/\(name)", X_OK) == 0 else {
            throw BerthError(.notFound, "\(directory)/\(name) is not built", remedy: "run make build, or set BERTH_BIN")
        }
        return "\(directory)/\(name)"
    }

    private static var ownPath: String {
        guard let path = realpath("/proc/self/exe", nil) else { return "" }
        defer { free(path) }
        return String(cString: path)
    }
}
