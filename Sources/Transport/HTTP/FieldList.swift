/// Field values that are lists (RFC 9110, section 5.6.1).
enum FieldList {
    /// The members between `separator`s that stand outside of quotes, without the white space around them; empty ones
    /// are skipped.
    static func members(_ value: some StringProtocol, separator: Character = ",") -> [Substring] {
        var members: [Substring] = []
        var rest = Substring(value)
        while true {
            var isQuoted = false
            var isEscaped = false
            let end = rest.firstIndex { character in
                if isEscaped {
                    isEscaped = false
                } else if isQuoted, character == "\\" {
                    isEscaped = true
                } else if character == "\"" {
                    isQuoted.toggle()
                } else {
                    return character == separator && !isQuoted
                }
                return false
            }
            let member = trimmed(rest[..<(end ?? rest.endIndex)])
            if !member.isEmpty { members.append(member) }
            guard let end else { return members }
            rest = rest[rest.index(after: end)...]
        }
    }

    /// RFC 9110, section 5.6.2.
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }

    /// What a quoted string stands for; a token as it is.
    static func unquoted(_ text: Substring) -> Substring {
        guard text.count >= 2, text.first == "\"", text.last == "\"" else { return text }
        var plain = ""
        var isEscaped = false
        for character in text.dropFirst().dropLast() {
            if character == "\\", !isEscaped {
                isEscaped = true
            } else {
                plain.append(character)
                isEscaped = false
            }
        }
        return plain[...]
    }
}
