import API
import Base

/// JSON texts made after a schema, right and wrong in every way that decisions lead to.
struct SchemaText {
    var source: Source
    private(set) var text: [UInt8] = []
    private var depth = 0

    init(_ source: Source) { self.source = source }

    mutating func write(_ schema: Schema) {
        depth += 1
        defer { depth -= 1 }
        let choice = source.byte()
        if choice > 0xE8 || depth > 12 { return writeAnything(choice) }
        switch schema {
        case .string(_, let values, _):
            if !values.isEmpty, choice & 3 != 3 { return write(quoted: source.pick(values)) }
            writeString()
        case .integer(let minimum, let maximum):
            switch choice & 7 {
            case 0: put("\(minimum ?? 0)")
            case 1: put("\(maximum ?? 1)")
            case 2: put("\((minimum ?? 1) &- 1)")
            case 3: put("\((maximum ?? .max) &+ 1)")
            case 4: put(source.pick(Self.numbers))
            case 5: put("\(source.integer())")
            default: put("\(source.number(below: 1000))")
            }
        case .number: put(choice & 1 == 0 ? source.pick(Self.numbers) : "\(source.byte()).\(source.byte())")
        case .boolean: put(choice & 1 == 0 ? "true" : "false")
        case .any: writeAnything(source.byte())
        case .array(let element): writeArray(element)
        case .map(let element): writeMap(element)
        case .object(_, let members): writeObject(members)
        }
    }

    // MARK: Containers

    private mutating func writeArray(_ element: Schema) {
        put("[")
        for index in 0..<source.number(below: 5) {
            if index > 0 { put(",") }
            write(element)
        }
        put("]")
    }

    private mutating func writeMap(_ element: Schema) {
        put("{")
        for index in 0..<source.number(below: 5) {
            if index > 0 { put(",") }
            writeString()
            put(":")
            write(element)
        }
        put("}")
    }

    private mutating func writeObject(_ members: [Schema.Member]) {
        put("{")
        var isFirst = true
        for member in members {
            let choice = source.byte()
            // The first decision is to take what must be and to leave the rest out.
            guard member.isRequired ? choice < 0xF8 : choice & 1 == 1 else { continue }
            if !isFirst { put(",") }
            isFirst = false
            write(quoted: choice == 0xF7 ? member.name.uppercased() : member.name)
            put(":")
            choice == 0xF5 ? put("null") : write(member.schema)
            guard choice == 0xF3 else { continue }
            put(",")
            write(quoted: member.name)
            put(":")
            write(member.schema)
        }
        if source.byte() == 0xFF {
            if !isFirst { put(",") }
            writeString()
            put(":1")
        }
        put("}")
    }

    private mutating func writeAnything(_ choice: UInt8) {
        switch choice % 9 {
        case 0: put("null")
        case 1: put("true")
        case 2: put(source.pick(Self.numbers))
        case 3: writeString()
        case 4: put("[]")
        case 5: put("{}")
        case 6: put(String(repeating: "[", count: 250) + String(repeating: "]", count: 250))
        case 7: text += source.bytes(atMost: 20)
        default: put(#"{"a":{"b":[1,null,"c"]}}"#)
        }
    }

    // MARK: Strings

    private mutating func writeString() {
        let choice = source.byte()
        switch choice % 6 {
        case 0, 1, 2: write(quoted: source.pick(Self.words))
        case 3: write(quoted: String(repeating: source.pick(["a", "é", "/", ".", "\u{0}"]), count: 1 << (choice / 20)))
        case 4:
            put("\"")
            text += source.bytes(atMost: 40)
            put("\"")
        default: write(quoted: String(decoding: source.bytes(atMost: 60), as: UTF8.self))
        }
    }

    private mutating func write(quoted string: String) { put(JSONText.quoted(string)) }
    private mutating func put(_ string: String) { text += Array(string.utf8) }

    static let numbers = [
        "0", "-0", "1", "-1", "1.0", "1e3", "2.5", "1e-9", "1e308", "1e400", "-1e400", "65536", "2147483648",
        "-2147483649",
        "9007199254740993", "9007199254740993.5", "111111111611111111.1",
        "9223372036854775807", "9223372036854775808", "-9223372036854775808",
        "-9223372036854775809", "18446744073709551616", "9.3e18", "31536000000", "31536000001", "01", "+1", "1.", ".5",
    ]

    static let words = [
        "", "personal", "new", "local", "host", "claude", "command", "open", "none", "team", "required", "bestEffort",
        "never", "idempotent", "https", "ssh", "main", "berth/x", "-x", "..", "a/../b", "local:berth", "local:",
        "https://example.org/a/b.git", "git@example.org:a/b.git", "ssh://git@example.org:22/a", "file:///etc/passwd",
        "ext::sh -c x", "https://u:p@example.org/a", "/work", "work", "/a/../..", "PATH", "BERTH_TOKEN", "A=B",
        "A\u{0}B",
        "2026-11-20T03:14:39.123Z", "2026-11-20T03:14:39+01:00", "9999-12-31T23:59:59.999Z", "0000-00-00T00:00:00Z",
        "10000-01-01T00:00:00Z", "env_01jd0000000000000000000000", "up_01jd0000000000000000000000",
        "exec_01jd0000000000000000000000", "key_01jd0000000000000000000000", "\u{FEFF}", "\u{202E}x", "\u{FFFD}",
        "a\nb",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n", "example.org", "localhost:80",
    ]
}
