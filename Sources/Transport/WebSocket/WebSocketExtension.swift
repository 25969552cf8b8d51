/// One entry of `Sec-WebSocket-Extensions` (RFC 6455, section 9.1).
struct WebSocketExtension: Equatable {
    struct Parameter: Equatable {
        let name: String
        let value: String?
    }

    let name: String
    let parameters: [Parameter]

    /// The entries of all the header's lines in order; nil when one is not of the grammar.
    static func parse(_ lines: [String]) -> [WebSocketExtension]? {
        var entries: [WebSocketExtension] = []
        for line in lines {
            var scanner = Scanner(rest: Array(line.utf8)[...])
            repeat {
                scanner.skipSpace()
                // An empty element of a list is allowed (RFC 9110, section 5.6.1).
                if scanner.isAtEnd || scanner.rest.first == UInt8(ascii: ",") { continue }
                guard let entry = scanner.entry() else { return nil }
                entries.append(entry)
            } while scanner.take(UInt8(ascii: ","))
            guard scanner.isAtEnd else { return nil }
        }
        return entries
    }

    private struct Scanner {
        var rest: ArraySlice<UInt8>

        var isAtEnd: Bool { rest.isEmpty }

        mutating func skipSpace() { rest = rest.drop { $0 == 0x20 || $0 == 0x09 } }

        mutating func take(_ byte: UInt8) -> Bool {
            skipSpace()
            guard rest.first == byte else { return false }
            rest.removeFirst()
            skipSpace()
            return true
        }

        mutating func entry() -> WebSocketExtension? {
            guard let name = token() else { return nil }
            var parameters: [Parameter] = []
            while take(UInt8(ascii: ";")) {
                guard let name = token() else { return nil }
                var value: String?
                if take(UInt8(ascii: "=")) {
                    guard let given = rest.first == UInt8(ascii: "\"") ? quoted() : token() else { return nil }
                    value = given
                }
                parameters.append(Parameter(name: name, value: value))
            }
            return WebSocketExtension(name: name, parameters: parameters)
        }

        mutating func token() -> String? {
            let bytes = rest.prefix(while: Self.isToken)
            guard !bytes.isEmpty else { return nil }
            rest = rest.dropFirst(bytes.count)
            return String(decoding: bytes, as: UTF8.self)
        }

        /// What it says without its quotes must be a token again.
        private mutating func quoted() -> String? {
            rest.removeFirst()
            var bytes: [UInt8] = []
            while let byte = rest.popFirst() {
                switch byte {
                case UInt8(ascii: "\""):
                    return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
                case UInt8(ascii: "\\"):
                    guard let escaped = rest.popFirst(), Self.isToken(escaped) else { return nil }
                    bytes.append(escaped)
                default:
                    guard Self.isToken(byte) else { return nil }
                    bytes.append(byte)
                }
            }
            return nil
        }

        /// RFC 9110, section 5.6.2.
        private static func isToken(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        }
    }
}
