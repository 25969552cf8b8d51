/// Field values that are lists (RFC 9110, section 5.6.1). Read byte by byte: as characters, a separator would melt into
/// a combining mark beside it.
enum FieldList {
    /// The members between `separator`s, without the white space around them; empty ones are skipped. A separator
    /// within quotes is none, unless the value's quotes do not close: then none of them count, lest one of them swallow
    /// what others appended behind it.
    static func members(_ value: some StringProtocol, separator: UInt8 = UInt8(ascii: ",")) -> [Substring] {
        let text = Substring(value)
        return members(text, separator, withQuotes: true) ?? members(text, separator, withQuotes: false) ?? []
    }

    /// nil where a quote does not close.
    private static func members(_ text: Substring, _ separator: UInt8, withQuotes: Bool) -> [Substring]? {
        var members: [Substring] = []
        var start = text.startIndex
        var isQuoted = false
        var isEscaped = false
        func end(at index: Substring.Index) {
            let member = trimmed(text[start..<index])
            if !member.isEmpty { members.append(member) }
        }
        for index in text.utf8.indices {
            let byte = text.utf8[index]
            if isEscaped {
                isEscaped = false
            } else if isQuoted, byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if withQuotes, byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if byte == separator, !isQuoted {
                end(at: index)
                start = text.utf8.index(after: index)
            }
        }
        end(at: text.endIndex)
        return isQuoted ? nil : members
    }

    /// RFC 9110, section 5.6.2.
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    static func trimmed(_ text: Substring) -> Substring {
        var bytes = text.utf8
        while let first = bytes.first, first == 0x20 || first == 0x09 { bytes.removeFirst() }
        while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
        return Substring(bytes)
    }

    /// What a quoted string stands for; a token as it is.
    static func unquoted(_ text: Substring) -> Substring {
        let quote = UInt8(ascii: "\"")
        guard text.utf8.count >= 2, text.utf8.first == quote, text.utf8.last == quote else { return text }
        var plain: [UInt8] = []
        var isEscaped = false
        for byte in text.utf8.dropFirst().dropLast() {
            if byte == UInt8(ascii: "\\"), !isEscaped {
                isEscaped = true
            } else {
                plain.append(byte)
                isEscaped = false
            }
        }
        return Substring(decoding: plain, as: UTF8.self)
    }
}
