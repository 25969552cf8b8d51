internal import Base

/// The end of a stream: how much the process wrote, how much of it is stored, and the digest of everything.
///
/// Stored bytes are the first `storedHead` and the last `storedTail` of `totalBytes`, one after the other. Offsets of
/// reads and appends count stored bytes.
public struct OutputMark: Equatable, Sendable, Codable {
    public var totalBytes: Int64
    public var storedHead: Int64
    public var storedTail: Int64
    /// Of all `totalBytes`, stored or not: 64 hexadecimal digits.
    public var sha256: String

    public init(totalBytes: Int64, storedHead: Int64, storedTail: Int64, sha256: String) {
        self.totalBytes = totalBytes
        self.storedHead = storedHead
        self.storedTail = storedTail
        self.sha256 = sha256
    }

    /// Whether bytes between head and tail were dropped.
    public var isTruncated: Bool { storedBytes < totalBytes }
    public var storedBytes: Int64 { storedHead + storedTail }
}

extension OutputMark {
    private static let magic = "berth-output-mark 1"

    var fileText: String { "\(Self.magic)\n\(totalBytes)\n\(storedHead)\n\(storedTail)\n\(sha256)\n" }

    init(fileText text: String) throws(BerthError) {
        let lines = text.split(separator: "\n")
        guard lines.count == 5, lines[0] == Self.magic,
            let total = Int64(lines[1]), let head = Int64(lines[2]), let tail = Int64(lines[3])
        else { throw BerthError(.internal, "an output's end mark is damaged", detail: text) }
        self.init(totalBytes: total, storedHead: head, storedTail: tail, sha256: String(lines[4]))
    }
}
