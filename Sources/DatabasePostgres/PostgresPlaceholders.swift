import Base

/// The placeholders of a statement's text. PostgreSQL also takes `$01` and `::`, which other engines do not, so the text
/// is held to the rules here: `$1`…`$n`, each used at least once, and no other kind.
enum PostgresPlaceholders {
    /// How many values the statement takes.
    static func count(in text: String) throws -> Int {
        var scanner = Scanner(bytes: Array(text.utf8))
        var used: Set<Int> = []
        while let found = scanner.next() {
            switch found {
            case .number(let number): used.insert(number)
            case .other(let name): throw error("'\(name)' is not $ and a number", text)
            }
        }
        let highest = used.max() ?? 0
        guard used.count == highest else { throw error("the numbers up to $\(highest) are not all used", text) }
        return highest
    }

    private static func error(_ what: String, _ text: String) -> BerthError {
        BerthError(.internal, "a SQL statement is written wrongly", detail: "\(what); statement: \(text)")
    }

    private enum Found {
        case number(Int)
        case other(String)
    }

    /// Walks over literals, quoted names and comments.
    private struct Scanner {
        let bytes: [UInt8]
        var place = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func next() -> Found? {
            while place < bytes.count {
                let byte = bytes[place]
                place += 1
                switch byte {
                case UInt8(ascii: "'"), UInt8(ascii: "\""): skip(to: byte)
                case UInt8(ascii: "-") where peek == UInt8(ascii: "-"): skip(to: UInt8(ascii: "\n"))
                case UInt8(ascii: "$"): return parameter()
                case UInt8(ascii: "?"), UInt8(ascii: "@"), UInt8(ascii: ":"):
                    return .other(String(decoding: [byte] + word(), as: UTF8.self))
                default: continue
                }
            }
            return nil
        }

        private var peek: UInt8? { place < bytes.count ? bytes[place] : nil }

        private mutating func skip(to end: UInt8) {
            while let byte = peek {
                place += 1
                if byte == end { return }
            }
        }

        private mutating func parameter() -> Found {
            let name = String(decoding: word(), as: UTF8.self)
            guard let number = Int(name), number > 0, name == "\(number)" else { return .other("$" + name) }
            return .number(number)
        }

        private mutating func word() -> ArraySlice<UInt8> {
            let start = place
            while let byte = peek, Self.isWord(byte) { place += 1 }
            return bytes[start..<place]
        }

        private static func isWord(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }
}
