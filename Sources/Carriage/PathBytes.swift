/// Paths as bytes: Linux allows any but NUL.
enum PathBytes {
    static let slash = UInt8(ascii: "/")

    /// Fields that end in NUL, as git's `-z` prints them.
    static func fields(_ bytes: [UInt8]) -> [[UInt8]] { bytes.split(separator: 0).map(Array.init) }

    static func join(_ directory: String, _ path: [UInt8]) -> [CChar] {
        (Array(directory.utf8) + [slash] + path + [0]).map { CChar(bitPattern: $0) }
    }
}
