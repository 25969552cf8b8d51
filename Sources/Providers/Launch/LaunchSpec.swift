/// The launcher's specification: NUL-terminated words, each record a key and its values (the C side names them all).
struct LaunchSpec: Sendable {
    private(set) var bytes: [UInt8] = []

    mutating func add(_ words: String...) {
        for word in words {
            // A NUL would end the word early; nothing that reaches here may hold one.
            bytes += word.utf8.filter { $0 != 0 }
            bytes.append(0)
        }
    }

    mutating func bind(_ source: String, at target: String, _ flags: BindFlags = []) {
        add("bind", flags.text, source, target)
    }

    struct BindFlags: OptionSet {
        let rawValue: Int
        static let readOnly = BindFlags(rawValue: 1)
        static let idMapped = BindFlags(rawValue: 2)
        static let file = BindFlags(rawValue: 4)

        var text: String {
            (contains(.readOnly) ? "r" : "") + (contains(.idMapped) ? "i" : "") + (contains(.file) ? "f" : "")
        }
    }
}
