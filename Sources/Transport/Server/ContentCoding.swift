/// Whether an answer is compressed (RFC 9110, sections 8.4 and 12.5.3).
enum ContentCoding {
    /// Below this the saving does not pay for the work.
    static let minimumBytes = 1024

    /// A text of some kind, by its `content-type`. Event streams are not: they are sent piece by piece, at once.
    static func isCompressible(_ type: String) -> Bool {
        let end = type.utf8.firstIndex { $0 == UInt8(ascii: ";") || $0 == UInt8(ascii: " ") } ?? type.endIndex
        let name = type[..<end].lowercased()
        if name.hasPrefix("text/") { return name != "text/event-stream" }
        guard name.hasPrefix("application/") || name == "image/svg+xml" else { return false }
        return ["json", "xml", "javascript", "x-ndjson", "wasm"].contains(String(name.dropFirst(12)))
            || name.hasSuffix("+json") || name.hasSuffix("+xml")
    }

    /// Whether `accept-encoding` prefers gzip to the plain bytes.
    static func acceptsGzip(_ values: [String]) -> Bool {
        var gzip: Double?
        var anything: Double?
        var identity: Double?
        for member in values.flatMap({ FieldList.members($0) }) {
            let parts = FieldList.members(member, separator: UInt8(ascii: ";"))
            guard let coding = parts.first?.lowercased() else { continue }
            let quality = weight(parts.dropFirst())
            switch coding {
            case "gzip", "x-gzip": gzip = max(gzip ?? 0, quality)
            case "identity": identity = quality
            case "*": anything = quality
            default: continue
            }
        }
        guard let wanted = gzip ?? anything, wanted > 0 else { return false }
        return wanted >= identity ?? 0
    }

    private static func weight(_ parameters: ArraySlice<Substring>) -> Double {
        guard let parameter = parameters.first(where: { $0.lowercased().hasPrefix("q=") }) else { return 1 }
        return Double(parameter.dropFirst(2)).map { min(1, max(0, $0)) } ?? 0
    }
}
