import Glibc

/// Bytes that grow at their end, in memory of their own; whoever made them gives it back with ``deallocate()``.
struct JSONTextBuffer {
    private var base = UnsafeMutablePointer<UInt8>.allocate(capacity: firstCapacity)
    private var capacity = firstCapacity
    private(set) var count = 0

    /// glibc keeps freed blocks of up to 1032 bytes at hand, greater ones not.
    private static let firstCapacity = 1000

    func deallocate() { base.deallocate() }

    var array: [UInt8] { Array(UnsafeBufferPointer(start: base, count: count)) }

    func string(_ range: Range<Int>) -> String {
        String(decoding: UnsafeBufferPointer(start: base + range.lowerBound, count: range.count), as: UTF8.self)
    }

    private mutating func reserve(_ more: Int) {
        guard count + more > capacity else { return }
        capacity = max(capacity * 2, count + more)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        larger.initialize(from: base, count: count)
        base.deallocate()
        base = larger
    }

    mutating func append(_ byte: UInt8) {
        reserve(1)
        base[count] = byte
        count += 1
    }

    mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let source = bytes.baseAddress else { return }
        reserve(bytes.count)
        (base + count).initialize(from: source, count: bytes.count)
        count += bytes.count
    }

    mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append($0) }
    }

    mutating func append(_ number: Int64) {
        reserve(20)
        let (digits, first) = JSONText.decimal(number.magnitude)
        if number < 0 { put(UInt8(ascii: "-")) }
        for index in first..<20 { put(digits[index]) }
    }

    /// A member's name with its quotes and colon, and a comma before it where it is not the first.
    mutating func append(name: UnsafeBufferPointer<UInt8>, isFirst: Bool) {
        reserve(name.count + 4)
        if !isFirst { put(UInt8(ascii: ",")) }
        put(UInt8(ascii: "\""))
        put(name)
        put(UInt8(ascii: "\""))
        put(UInt8(ascii: ":"))
    }

    /// Where there is room already.
    @inline(__always)
    private mutating func put(_ byte: UInt8) {
        base[count] = byte
        count += 1
    }

    @inline(__always)
    private mutating func put(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let source = bytes.baseAddress else { return }
        (base + count).initialize(from: source, count: bytes.count)
        count += bytes.count
    }

    /// A quoted literal; returns whether anything in it had to be escaped.
    mutating func appendQuoted(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        reserve(text.count + 2)
        guard JSONText.needsEscape(text) else {
            put(UInt8(ascii: "\""))
            put(text)
            put(UInt8(ascii: "\""))
            return false
        }
        append(UInt8(ascii: "\""))
        // What needs no escape is copied in one piece.
        var copied = 0
        for index in text.indices where JSONText.isEscaped(text[index]) {
            append(UnsafeBufferPointer(rebasing: text[copied..<index]))
            let escape = JSONText.escape(of: text[index])
            escape.withUnsafeBufferPointer { append($0) }
            copied = index + 1
        }
        append(UnsafeBufferPointer(rebasing: text[copied...]))
        append(UInt8(ascii: "\""))
        return copied > 0
    }

    /// Up to eight bytes as one number, the first byte highest.
    func prefix(from start: Int, to end: Int) -> UInt64 {
        var number: UInt64 = 0
        for index in start..<(start + 8) { number = number << 8 | (index < end ? UInt64(base[index]) : 0) }
        return number
    }

    /// Whether the bytes of one range come before those of the other.
    func isOrdered(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
        let order = memcmp(base + left.lowerBound, base + right.lowerBound, min(left.count, right.count))
        return order == 0 ? left.count < right.count : order < 0
    }

    mutating func insert(_ other: JSONTextBuffer, at place: Int) {
        reserve(other.count)
        memmove(base + place + other.count, base + place, count - place)
        memcpy(base + place, other.base, other.count)
        count += other.count
    }

    /// Replaces all from `start` on by the parts, with commas between them.
    mutating func rearrange(from start: Int, _ parts: some Sequence<Range<Int>>) {
        let old = UnsafeMutablePointer<UInt8>.allocate(capacity: count - start)
        defer { old.deallocate() }
        old.initialize(from: base + start, count: count - start)
        count = start
        for part in parts {
            if count > start { append(UInt8(ascii: ",")) }
            append(UnsafeBufferPointer(start: old + (part.lowerBound - start), count: part.count))
        }
    }
}
