/// Input in two ways: whole, and in pieces whose lengths its own first byte decides. Both must be read alike.
struct Cut {
    let whole: [UInt8]
    let pieces: [[UInt8]]

    init(_ bytes: [UInt8]) {
        let whole = Array(bytes.dropFirst())
        self.whole = whole
        let length = 1 + Int(bytes.first ?? 0) % 61
        pieces = stride(from: 0, to: whole.count, by: length).map {
            Array(whole[$0..<min($0 + length, whole.count)])
        }
    }
}

/// Input as a row of decisions, for targets that build what they feed. At its end every decision is the first one.
struct Source {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isEmpty: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    /// 0..<bound
    mutating func number(below bound: Int) -> Int {
        bound <= 256 ? Int(byte()) % bound : (Int(byte()) << 8 | Int(byte())) % bound
    }

    mutating func integer() -> Int64 { (0..<8).reduce(0) { number, _ in number << 8 | Int64(byte()) } }

    mutating func pick<Element>(_ choices: [Element]) -> Element { choices[number(below: choices.count)] }

    mutating func bytes(atMost limit: Int) -> [UInt8] {
        let taken = rest.prefix(number(below: limit + 1))
        rest = rest.dropFirst(taken.count)
        return Array(taken)
    }
}
