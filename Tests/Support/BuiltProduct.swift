import Glibc

/// Programs of this package as the running tests' build made them.
public enum BuiltProduct {
    /// The absolute path of a built executable, found beside the test bundle that is loaded into this process.
    public static func path(_ name: String) -> String { "\(directory)/\(name)" }

    private static let directory: String = {
        guard let maps = fopen("/proc/self/maps", "r") else { return "." }
        defer { fclose(maps) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while getline(&line, &capacity, maps) > 0 {
            guard let text = line.map({ String(cString: $0) }), text.contains("PackageTests.xctest"),
                let start = text.firstIndex(of: "/"), let end = text.lastIndex(of: "/")
            else { continue }
            return String(text[start..<end])
        }
        return "."
    }()
}
