import Base

/// JSON5 (spec.json5.org) with the line of every value, so that a person is told where a mistake is.
struct LocatedJSON: Sendable, Equatable {
    enum Value: Sendable, Equatable {
        case null
        case boolean(Bool)
        case number(Double)
        case string(String)
        case array([LocatedJSON])
        /// In the order of the text; no name twice.
        case object([(name: String, line: Int, value: LocatedJSON)])

        static func == (left: Self, right: Self) -> Bool {
            switch (left, right) {
            case (.null, .null): true
            case (.boolean(let a), .boolean(let b)): a == b
            case (.number(let a), .number(let b)): a == b
            case (.string(let a), .string(let b)): a == b
            case (.array(let a), .array(let b)): a == b
            case (.object(let a), .object(let b)):
                a.count == b.count && zip(a, b).allSatisfy { $0.name == $1.name && $0.value == $1.value }
            default: false
            }
        }
    }

    var value: Value
    /// From 1.
    var line: Int

    /// What a person calls it.
    var kind: String {
        switch value {
        case .null: "null"
        case .boolean: "a truth value"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    subscript(name: String) -> LocatedJSON? {
        guard case .object(let members) = value else { return nil }
        return members.first { $0.name == name }?.value
    }

    var string: String? { if case .string(let text) = value { text } else { nil } }

    struct Mistake: Error, Equatable {
        var line: Int
        var message: String
    }

    /// Nested deeper than this is refused.
    static let depthLimit = 32

    init(value: Value, line: Int) {
        self.value = value
        self.line = line
    }

    init(parsing text: String) throws(Mistake) {
        var reader = Reader(text)
        self = try reader.document()
    }
}

extension LocatedJSON {
    /// One pass over the scalars.
    private struct Reader {
        private let scalars: [Unicode.Scalar]
        private var place = 0
        private var line = 1

        init(_ text: String) { scalars = Array(text.unicodeScalars) }

        mutating func document() throws(Mistake) -> LocatedJSON {
            if peek == "\u{FEFF}" { place += 1 }
            try skip()
            let value = try value(depth: 0)
            try skip()
            if let more = peek { throw mistake("'\(more)' stands behind the end") }
            return value
        }

        private var peek: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

        private func mistake(_ message: String) -> Mistake { Mistake(line: line, message: message) }

        private var here: String { peek.map { "'\($0)'" } ?? "the end" }

        private mutating func next() -> Unicode.Scalar? {
            guard let scalar = peek else { return nil }
            place += 1
            if scalar == "\n" { line += 1 }
            return scalar
        }

        /// White space and comments.
        private mutating func skip() throws(Mistake) {
            while let scalar = peek {
                if scalar.properties.isWhitespace || scalar == "\u{FEFF}" {
                    _ = next()
                } else if scalar == "/", place + 1 < scalars.count, scalars[place + 1] == "/" {
                    while let scalar = peek, scalar != "\n" { place += 1 }
                } else if scalar == "/", place + 1 < scalars.count, scalars[place + 1] == "*" {
                    let begin = line
                    place += 2
                    while true {
                        guard let scalar = next() else {
                            throw Mistake(line: begin, message: "a comment has no end")
                        }
                        if scalar == "*", peek == "/" {
                            place += 1
                            break
                        }
                    }
                } else {
                    return
                }
            }
        }

        private mutating func value(depth: Int) throws(Mistake) -> LocatedJSON {
            guard depth < LocatedJSON.depthLimit else { throw mistake("it is nested too deep") }
            let line = line
            func made(_ value: Value) -> LocatedJSON { LocatedJSON(value: value, line: line) }
            switch peek {
            case "{": return made(try object(depth: depth))
            case "[": return made(try array(depth: depth))
            case "\"", "'": return made(.string(try string()))
            default: break
            }
            let word = word()
            switch word {
            case "": throw mistake("a value is missing before \(here)")
            case "null": return made(.null)
            case "true": return made(.boolean(true))
            case "false": return made(.boolean(false))
            default:
                guard let number = Self.number(word) else { throw mistake("'\(word.prefix(40))' is no value") }
                return made(.number(number))
            }
        }

        private mutating func word() -> String {
            var text = String.UnicodeScalarView()
            while let scalar = peek,
                scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    || "+-._$".unicodeScalars.contains(scalar)
            {
                text.append(scalar)
                place += 1
            }
            return String(text)
        }

        private static func number(_ word: String) -> Double? {
            var digits = word[...]
            var sign = 1.0
            if digits.hasPrefix("-") { sign = -1 }
            if digits.hasPrefix("-") || digits.hasPrefix("+") { digits = digits.dropFirst() }
            if digits.lowercased().hasPrefix("0x") {
                return UInt64(digits.dropFirst(2), radix: 16).map { sign * Double($0) }
            }
            guard let first = digits.unicodeScalars.first, ("0"..."9").contains(first) || first == "." else {
                return nil
            }
            return Double(digits.hasPrefix(".") ? "0" + digits : digits.hasSuffix(".") ? digits + "0" : String(digits))
                .map { sign * $0 }
        }

        private mutating func object(depth: Int) throws(Mistake) -> Value {
            place += 1
            var members: [(name: String, line: Int, value: LocatedJSON)] = []
            while true {
                try skip()
                if peek == "}" { break }
                let nameLine = line
                let name: String
                if peek == "\"" || peek == "'" { name = try string() } else { name = word() }
                guard !name.isEmpty else { throw mistake("a name is missing before \(here)") }
                guard !members.contains(where: { $0.name == name }) else {
                    throw Mistake(line: nameLine, message: "'\(name.prefix(80))' is there twice")
                }
                try skip()
                guard peek == ":" else { throw mistake("':' is missing behind '\(name.prefix(80))'") }
                place += 1
                try skip()
                members.append((name, nameLine, try value(depth: depth + 1)))
                try skip()
                if peek == "," {
                    place += 1
                } else if peek != "}" {
                    throw mistake("',' or '}' is missing before \(here)")
                }
            }
            place += 1
            return .object(members)
        }

        private mutating func array(depth: Int) throws(Mistake) -> Value {
            place += 1
            var elements: [LocatedJSON] = []
            while true {
                try skip()
                if peek == "]" { break }
                elements.append(try value(depth: depth + 1))
                try skip()
                if peek == "," {
                    place += 1
                } else if peek != "]" {
                    throw mistake("',' or ']' is missing before \(here)")
                }
            }
            place += 1
            return .array(elements)
        }

        private mutating func string() throws(Mistake) -> String {
            let quote = next()
            let begin = line
            var text = String.UnicodeScalarView()
            while true {
                guard let scalar = next(), scalar != "\n" else {
                    throw Mistake(line: begin, message: "a string has no end")
                }
                if scalar == quote { return String(text) }
                guard scalar == "\\" else {
                    text.append(scalar)
                    continue
                }
                if let escaped = try escape() { text.append(escaped) }
            }
        }

        /// Behind the backslash; nil for a line that goes on.
        private mutating func escape() throws(Mistake) -> Unicode.Scalar? {
            guard let scalar = next() else { throw mistake("a string has no end") }
            switch scalar {
            case "n": return "\n"
            case "t": return "\t"
            case "r": return "\r"
            case "b": return "\u{8}"
            case "f": return "\u{C}"
            case "v": return "\u{B}"
            case "0": return "\0"
            case "\n": return nil
            case "\r":
                if peek == "\n" { _ = next() }
                return nil
            case "x": return try hexadecimal(2)
            case "u": return try unicode()
            default: return scalar
            }
        }

        private mutating func unicode() throws(Mistake) -> Unicode.Scalar {
            let first = try digits(4)
            guard (0xD800..<0xDC00).contains(first) else {
                guard let scalar = Unicode.Scalar(first) else { throw mistake("half a character stands alone") }
                return scalar
            }
            guard next() == "\\", next() == "u" else { throw mistake("half a character stands alone") }
            let second = try digits(4)
            guard (0xDC00..<0xE000).contains(second),
                let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
            else { throw mistake("half a character stands alone") }
            return scalar
        }

        private mutating func hexadecimal(_ count: Int) throws(Mistake) -> Unicode.Scalar {
            guard let scalar = Unicode.Scalar(try digits(count)) else { throw mistake("that is no character") }
            return scalar
        }

        private mutating func digits(_ count: Int) throws(Mistake) -> UInt32 {
            var value: UInt32 = 0
            for _ in 0..<count {
                guard let scalar = next(), scalar.isASCII, let digit = Character(scalar).hexDigitValue else {
                    throw mistake("an escape needs \(count) hexadecimal digits")
                }
                value = value << 4 | UInt32(digit)
            }
            return value
        }
    }
}
