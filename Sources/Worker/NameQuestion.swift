internal import Base

/// A question for an address (RFC 1035, section 4) and its answers. Pure.
struct NameQuestion: Sendable, Equatable {
    /// Lower case, without a final dot.
    let name: String
    /// Of an IPv4 address; else of anything.
    let asksForIPv4: Bool
    /// Identifier and flags as they came, then the question itself.
    private let head: [UInt8]
    private let question: [UInt8]

    private static let lifetime: [UInt8] = [0, 0, 0, 5]

    /// nil for what is no single question in the internet's class.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 17, bytes[2] & 0xF8 == 0, bytes[4] == 0, bytes[5] == 1 else { return nil }
        var labels: [String] = []
        var place = 12
        while place < bytes.count, bytes[place] != 0 {
            let length = Int(bytes[place])
            guard length <= 63, place + 1 + length < bytes.count, place + length <= 12 + 254 else { return nil }
            labels.append(String(decoding: bytes[(place + 1)...(place + length)], as: UTF8.self).lowercased())
            place += 1 + length
        }
        guard !labels.isEmpty, place + 5 <= bytes.count, bytes[place + 3] == 0, bytes[place + 4] == 1 else {
            return nil
        }
        name = labels.joined(separator: ".")
        asksForIPv4 = bytes[place + 1] == 0 && bytes[place + 2] == 1
        head = Array(bytes[..<4])
        question = Array(bytes[12..<place + 5])
    }

    /// - Parameter address: nil: there is no such name here.
    func answer(_ address: [UInt8]?) -> [UInt8] {
        let found = asksForIPv4 ? address : nil
        // Response, authoritative, recursion as it was asked for and available; code 3 is "no such name".
        let code: UInt8 = address == nil ? 3 : 0
        var bytes: [UInt8] = [head[0], head[1], 0x84 | (head[2] & 1), 0x80 | code]
        bytes += [0, 1, 0, found == nil ? 0 : 1, 0, 0, 0, 0] as [UInt8]
        bytes += question
        // The name is that of the question, at byte 12.
        if let found {
            bytes += [0xC0, 12, 0, 1, 0, 1]
            bytes += Self.lifetime
            bytes += [0, 4]
            bytes += found
        }
        return bytes
    }
}
