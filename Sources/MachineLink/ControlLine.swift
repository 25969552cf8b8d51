/// One line of the control port: words with spaces between. Lines find their beginning again by themselves, so a snapshot
/// may cut one in two: whoever begins a link sends an empty line first.
package struct ControlLine: Equatable {
    package static let maximumSize = 65536

    package var words: [String]

    package init(_ words: String...) { self.words = words }

    package init(words: [String]) { self.words = words }

    /// Spaces, line ends, `%` and whatever is not printable are `%` and two hexadecimal digits; an empty word is `%`.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        for word in words {
            if !bytes.isEmpty { bytes.append(0x20) }
            if word.isEmpty { bytes.append(0x25) }
            for byte in word.utf8 {
                if byte > 0x20, byte < 0x7F, byte != 0x25 {
                    bytes.append(byte)
                } else {
                    bytes += [0x25, Self.digit(byte >> 4), Self.digit(byte & 15)]
                }
            }
        }
        bytes.append(0x0A)
        return bytes
    }

    /// nil for an empty line.
    package init?(_ line: ArraySlice<UInt8>) {
        words = line.split(separator: 0x20).map(Self.word)
        if words.isEmpty { return nil }
    }

    private static func word(_ bytes: ArraySlice<UInt8>) -> String {
        var plain: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                plain.append(byte)
                continue
            }
            guard rest.count >= 2, let high = value(rest.removeFirst()), let low = value(rest.removeFirst()) else {
                break
            }
            plain.append(high << 4 | low)
        }
        return String(decoding: plain, as: UTF8.self)
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x57
        default: nil
        }
    }
}

/// Bytes as they come, lines as they are whole; what is longer than a line may be is dropped up to its end.
package struct ControlReader {
    private var rest: [UInt8] = []
    /// The line that comes is too long already.
    private var isDropping = false

    package init() {}

    package mutating func receive(_ bytes: ArraySlice<UInt8>) -> [ControlLine] {
        rest += bytes
        var lines: [ControlLine] = []
        while let end = rest.firstIndex(of: 0x0A) {
            if !isDropping, end <= ControlLine.maximumSize, let line = ControlLine(rest[..<end]) { lines.append(line) }
            isDropping = false
            rest.removeFirst(end + 1)
        }
        if rest.count > ControlLine.maximumSize {
            isDropping = true
            rest.removeAll()
        }
        return lines
    }
}
